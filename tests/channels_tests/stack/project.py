"""A project whose consumers write down what they see, and its processes."""

import json
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from unittest import skipUnless

from django.channels.backends.redis import RedisChannelLayer

from .. import services
from ..development import RunserverTestCase
from ..processes import Process, manage
from ..test_servers import ServedProject

ROUTING = '''
import os

from django.channels import Group, route

journal = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(event, message):
    """Write a line, whole, that is there whatever kills this process."""
    os.write(journal, f"{event} {message['path'].strip('/')}\\n".encode())


def connect(message):
    note("connect", message)
    Group("crowd").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def receive(message):
    if message["text"].startswith("all "):
        Group("crowd").send({"text": message["text"]})
    else:
        message.reply_channel.send({"text": message["text"]})


def disconnect(message):
    note("disconnect", message)


channel_routing = [
    route("websocket.connect", connect),
    route("websocket.receive", receive),
    route("websocket.disconnect", disconnect),
]
'''


@skipUnless(find_spec("uvicorn"), "uvicorn is not installed.")
class StackTestCase(RunserverTestCase):
    """Servers and workers of a project on a Redis that is the test's own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (cls.package / "routing.py").write_text(ROUTING)

    def setUp(self):
        self.redis = services.redis(own=True)
        self.addCleanup(self.redis.stop)
        config = {"hosts": [self.redis.url], "capacity": 1000}
        self.layer = RedisChannelLayer(**config)
        self.addCleanup(self.layer.close)
        backend = "django.channels.backends.redis.RedisChannelLayer"
        self.journal = Path(self.directory) / f"{self.id()}.journal"
        self.journal.touch()
        self.env = {
            "CHANNEL_LAYER": json.dumps({"BACKEND": backend, "CONFIG": config}),
            "JOURNAL": str(self.journal),
        }

    def serve(self):
        """Return a server that only forwards."""
        command = [sys.executable, "-m", "uvicorn", "--port=0", "--no-access-log"]
        command.append("mysite.asgi:channel_layer")
        process = Process(command, cwd=self.directory, env=self.env)
        self.addCleanup(process.kill)
        listening = r"Uvicorn running on http://127\.0\.0\.1:(\d+)"
        return ServedProject(process, listening)

    def work(self, *options):
        """Return the process of a worker, once it works."""
        process = manage(
            self.directory, "runworker", "--threads=2", *options, env=self.env
        )
        self.addCleanup(process.kill)
        process.wait_for_line("Running worker")
        return process

    def events(self):
        """Return {event: Counter of the sockets it happened to}."""
        events = {"connect": Counter(), "disconnect": Counter()}
        for line in self.journal.read_text().splitlines():
            event, socket = line.split()
            events[event][socket] += 1
        return events
