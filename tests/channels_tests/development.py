"""A project for tests of runserver, and its server as a process."""

import shutil
import tempfile
from http.client import HTTPConnection
from importlib.util import find_spec
from unittest import skipUnless

from django.test import SimpleTestCase

from .processes import PATIENCE_SECONDS, manage, start_project

# What the server is told to serve.
ROUTING = """
import sys

from django.channels import route


def connect(message):
    if message["path"] == "/denied":
        message.reply_channel.send({"accept": False})
    elif message["path"] != "/undecided":
        message.reply_channel.send({"accept": True})


def receive(message):
    if message["text"] == "flood":
        # More than the sockets of a client and a server hold.
        for _ in range(20):
            message.reply_channel.send({"text": "x" * 1_000_000})
    message.reply_channel.send({"text": "echo " + message["text"]})


def disconnect(message):
    # In one write, so that no other thread's line gets into it.
    sys.stdout.write(f"consumed {message['path']} {message['code']}\\n")


channel_routing = [
    route("websocket.connect", connect),
    route("websocket.receive", receive),
    route("websocket.disconnect", disconnect),
]
"""

URLS = """
import asyncio
import threading

from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path


def paths(request):
    return HttpResponse(f"{request.META['SCRIPT_NAME']} {request.path_info}")


def never(request):
    print("A view waits.")
    threading.Event().wait()


async def never_async(request):
    print("A view waits.")
    await asyncio.Event().wait()


def broken(request):
    def parts():
        yield "half"
        raise ValueError("The other half is missing.")

    return StreamingHttpResponse(parts())


urlpatterns = [
    path("broken", broken),
    path("paths", paths),
    path("never", never),
    path("never/async", never_async),
]
"""

LAYERS = """
from django.channels.backends.memory import MemoryChannelLayer


class SpanningLayer(MemoryChannelLayer):
    spans_processes = True
"""

SETTINGS = """
import json
import os

DATABASES = {}
# An accept may come late on a machine with much else to do.
CHANNEL_LIMITS = {"WEBSOCKET_FRAME_BYTES": 1000, "WEBSOCKET_HANDSHAKE_SECONDS": 60}
if "WITHOUT_LAYER" in os.environ:
    CHANNEL_LAYERS = {}
if "SPANNING_LAYER" in os.environ:
    CHANNEL_LAYERS["default"]["BACKEND"] = "mysite.layers.SpanningLayer"
if "CHANNEL_LAYER" in os.environ:
    CHANNEL_LAYERS["default"].update(json.loads(os.environ["CHANNEL_LAYER"]))
if "SCRIPT_NAME" in os.environ:
    FORCE_SCRIPT_NAME = os.environ["SCRIPT_NAME"]
"""


class Server:
    """A runserver process, once it serves."""

    def __init__(self, process, host):
        self.process = process
        self.host = host
        self.port = int(process.wait_for_line(r"Starting .* at http://.*:(\d+)/")[1])
        process.wait_for_line("Quit the server")

    def get(self, path, timeout=PATIENCE_SECONDS):
        """Return (status, body) of a response."""
        connection = HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def connect(self, path="/chat", **options):
        """Return a context manager for a socket of the websockets library."""
        from websockets.sync.client import connect

        host = f"[{self.host}]" if ":" in self.host else self.host
        options = {"open_timeout": PATIENCE_SECONDS, "proxy": None, **options}
        return connect(f"ws://{host}:{self.port}{path}", **options)


@skipUnless(
    find_spec("daphne") and find_spec("websockets"),
    "Daphne or websockets is not installed.",
)
class RunserverTestCase(SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.directory = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.package = start_project(cls.directory)
        (cls.package / "routing.py").write_text(ROUTING)
        (cls.package / "urls.py").write_text(URLS)
        (cls.package / "layers.py").write_text(LAYERS)
        with (cls.package / "settings.py").open("a") as settings:
            settings.write(SETTINGS)

    def start(self, *args, address="127.0.0.1:0", env=None):
        """Return the process of a runserver that ends with the test."""
        process = manage(self.directory, "runserver", address, *args, env=env)
        self.addCleanup(process.kill)
        return process

    def serve(self, *args, address="127.0.0.1:0", env=None):
        """Return the Server of such a process."""
        host = address.rpartition(":")[0].strip("[]")
        return Server(self.start(*args, address=address, env=env), host)

    def assertQuiet(self, process):
        """Check that nothing but the expected was written."""
        for word in "Traceback", "Error", "Warning", "Exception", "Task ":
            self.assertNotIn(word, process.output)
