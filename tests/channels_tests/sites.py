"""A site with sessions and users, its servers and workers processes of their own."""

import json
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from unittest import skipUnless

from django.test import SimpleTestCase

from . import services
from .ipc import require_lmdb
from .processes import PATIENCE_SECONDS, Process, manage, start_project
from .test_servers import ServedProject

LISTENING = r"Uvicorn running on http://127\.0\.0\.1:(\d+)"

# An accept may come late on a machine with much else to do.
LIMITS = {"WEBSOCKET_HANDSHAKE_SECONDS": PATIENCE_SECONDS}

SETTINGS = """
import json, os
CHANNEL_LAYERS["default"].update(json.loads(os.environ["CHANNEL_LAYER"]))
CHANNEL_LIMITS = json.loads(os.environ["CHANNEL_LIMITS"])
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DATABASES["default"]["OPTIONS"] = {"timeout": 30, "transaction_mode": "IMMEDIATE"}
"""


class Redis:
    """For a SiteTestCase: its layer is in Redis."""

    @classmethod
    def get_layer(cls):
        config = {"hosts": [services.redis().url], "prefix": services.unique_name()}
        backend = "django.channels.backends.redis.RedisChannelLayer"
        return {"BACKEND": backend, "CONFIG": config}


class IPC:
    """For a SiteTestCase: its layer is in a directory of this machine."""

    @classmethod
    def get_layer(cls):
        require_lmdb()
        config = {"path": str(cls.directory / "layer")}
        backend = "django.channels.backends.ipc.IPCChannelLayer"
        return {"BACKEND": backend, "CONFIG": config}


@skipUnless(
    find_spec("uvicorn") and find_spec("websockets"),
    "uvicorn or websockets is not installed.",
)
class SiteTestCase(SimpleTestCase):
    """Each class has a project: ``routing`` and ``urls`` are its modules."""

    routing = urls = ""
    limits = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.directory = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        package = start_project(str(cls.directory))
        (package / "routing.py").write_text(cls.routing)
        (package / "urls.py").write_text(cls.urls or "urlpatterns = []")
        with (package / "settings.py").open("a") as settings:
            settings.write(SETTINGS)
        cls.layer = cls.get_layer()
        with manage(cls.directory, "migrate", env=cls.get_env()) as process:
            if process.wait() != 0:
                raise AssertionError(process.output)

    @classmethod
    def get_env(cls):
        return {
            "CHANNEL_LAYER": json.dumps(cls.layer),
            "CHANNEL_LIMITS": json.dumps({**LIMITS, **cls.limits}),
        }

    def serve(self, name="channel_layer"):
        """Return a server of one of the names in asgi.py."""
        command = [sys.executable, "-m", "uvicorn", "--port=0", f"mysite.asgi:{name}"]
        process = Process(command, self.directory, self.get_env())
        self.addCleanup(process.kill)
        return ServedProject(process, LISTENING)

    def work(self, *options):
        """Return a process of runworker."""
        process = manage(self.directory, "runworker", *options, env=self.get_env())
        self.addCleanup(process.kill)
        process.wait_for_line("Running worker")
        return process


async def connect(server, path, **options):
    """Return a client of the websockets library."""
    from websockets.asyncio.client import connect

    options = {"open_timeout": PATIENCE_SECONDS, "proxy": None, **options}
    return await connect(f"ws://{server.host}:{server.port}{path}", **options)
