"""Class-based consumers, routed by path, behind real servers and workers."""

import json
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from unittest import skipUnless

from django.test import SimpleTestCase

from . import services
from .processes import PATIENCE_SECONDS, Process, manage, start_project
from .test_servers import ServedProject

CONSUMERS = """
import sys

from django.channels import Channel
from django.channels.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
)


class Room(JsonWebsocketConsumer):
    subprotocols = ["v2", "v1"]

    def connection_groups(self, room, **kwargs):
        return [f"room-{room}"]

    def receive(self, content, room, **kwargs):
        self.group_send(f"room-{room}", {"room": room, "said": content})

    def disconnect(self, message, room, **kwargs):
        sys.stdout.write(f"left {room} {message['code']}\\n")


class AsyncEcho(WebsocketConsumer):
    async def connect(self, message, number):
        self.accept()
        self.send(text=str(number + 1))

    async def receive(self, text=None, bytes=None, number=None):
        name = self.message.reply_channel.name
        await Channel("jobs").asend({"reply_channel": name, "text": text})


def job(message):
    message.reply_channel.send({"text": message["text"] + " is done"})


class Stream(JsonWebsocketConsumer):
    def receive(self, content, multiplexer, **kwargs):
        multiplexer.send(content)


class AsyncStream(JsonWebsocketConsumer):
    async def receive(self, content, multiplexer, **kwargs):
        multiplexer.send([content])


class Streams(WebsocketDemultiplexer):
    consumers = {"one": Stream, "two": AsyncStream}
"""

ROUTING = """
from django.channels import route
from django.channels.routing import path

from . import consumers

channel_routing = [
    path("rooms/<slug:room>/", consumers.Room, name="room"),
    path("echo/<int:number>/", consumers.AsyncEcho),
    path("streams/", consumers.Streams),
    route("jobs", consumers.job),
]
"""

URLS = """
from django.channels.routing import reverse
from django.http import HttpResponse
from django.urls import path


def room(request, room):
    return HttpResponse(reverse("room", kwargs={"room": room}))


urlpatterns = [path("rooms/<slug:room>/", room)]
"""

LISTENING = r"Uvicorn running on http://127\.0\.0\.1:(\d+)"


@skipUnless(
    find_spec("uvicorn") and find_spec("websockets"),
    "uvicorn or websockets is not installed.",
)
class InProcessTests(SimpleTestCase):
    """The server runs the consumers."""

    callable_name = "application"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.directory = tempfile.mkdtemp()
        cls.addClassCleanup(rmtree, cls.directory)
        package = Path(start_project(cls.directory))
        for name, source in (
            ("consumers", CONSUMERS),
            ("routing", ROUTING),
            ("urls", URLS),
        ):
            (package / f"{name}.py").write_text(source)
        with (package / "settings.py").open("a") as settings:
            settings.write(
                f"\nDATABASES = {{}}\n"
                f"CHANNEL_LIMITS = {{'WEBSOCKET_HANDSHAKE_SECONDS': 60}}\n"
                f"CHANNEL_LAYERS['default'].update({cls.get_layer()!r})\n"
            )

    @classmethod
    def get_layer(cls):
        return {}

    def serve(self, *options):
        """Return (server, the process that runs the consumers)."""
        command = [sys.executable, "-m", "uvicorn", "--port=0", *options]
        args = [*command, f"mysite.asgi:{self.callable_name}"]
        process = Process(args, cwd=self.directory)
        self.addCleanup(process.kill)
        return ServedProject(process, LISTENING), process

    def hear(self, socket):
        return json.loads(socket.recv(timeout=PATIENCE_SECONDS))

    def test_rooms_streams_and_jobs(self):
        server, consumers = self.serve()
        with (
            server.connect("/rooms/a/", subprotocols=["v1", "v2"]) as one,
            server.connect("/rooms/a/") as two,
            server.connect("/echo/41/") as echo,
            server.connect("/streams/") as streams,
        ):
            self.assertEqual(one.subprotocol, "v2")
            self.assertIsNone(two.subprotocol)
            forged = {"room": "b", "reply_channel": "x!y", "order": -1, "type": "*"}
            two.send(json.dumps(forged))
            for socket in one, two:
                self.assertEqual(self.hear(socket), {"room": "a", "said": forged})
            self.assertEqual(echo.recv(timeout=PATIENCE_SECONDS), "42")
            echo.send("it")
            self.assertEqual(echo.recv(timeout=PATIENCE_SECONDS), "it is done")
            for stream, payload in ("one", 7), ("two", [7]):
                streams.send(json.dumps({"stream": stream, "payload": 7}))
                expected = {"stream": stream, "payload": payload}
                self.assertEqual(self.hear(streams), expected)
            one.close()
            consumers.wait_for_line("left a 1000")
            two.send("7")
            self.assertEqual(self.hear(two), {"room": "a", "said": 7})
        self.assertNotIn("Traceback", consumers.output)

    def test_what_is_wrong_with_a_client_is_one_line(self):
        from websockets.exceptions import ConnectionClosed, InvalidStatus

        server, consumers = self.serve()
        for data, code in (("{", 1007), (b"{}", 1003)):
            with server.connect("/rooms/a/") as socket:
                socket.send(data)
                with self.assertRaises(ConnectionClosed) as caught:
                    socket.recv(timeout=PATIENCE_SECONDS)
                self.assertEqual(caught.exception.rcvd.code, code)
            consumers.wait_for_line(f"left a {code}")
        for path in "/rooms/a%0A/", "/rooms/a!b/", "/rooms/", "/echo/x/", "/":
            with self.assertRaisesMessage(InvalidStatus, "HTTP 403"):
                server.connect(path).__enter__()
        consumers.wait_for_line("Denied a socket: ", count=5)
        self.assertEqual(consumers.output.count("Closing '/rooms/a/': "), 2)
        self.assertEqual(consumers.output.count("Denied a socket: "), 5)
        self.assertNotIn("Traceback", consumers.output)

    def test_a_server_below_a_prefix(self):
        server, consumers = self.serve("--root-path=/site")
        path = server.get("/rooms/a/")[1].decode()
        self.assertEqual(path, "/site/rooms/a/")
        with server.connect("/rooms/a/") as socket:
            socket.send("7")
            self.assertEqual(self.hear(socket), {"room": "a", "said": 7})
        consumers.wait_for_line("left a 1000")
        self.assertNotIn("Traceback", consumers.output)


class BusTests(InProcessTests):
    """The server forwards to a worker, on Redis."""

    callable_name = "channel_layer"

    @classmethod
    def get_layer(cls):
        return {
            "BACKEND": "django.channels.backends.redis.RedisChannelLayer",
            "CONFIG": {
                "hosts": [services.redis().url],
                "prefix": f"{services.unique_name()}:",
            },
        }

    def serve(self, *options):
        worker = manage(self.directory, "runworker")
        self.addCleanup(worker.kill)
        worker.wait_for_line("Running worker")
        server, _ = super().serve(*options)
        return server, worker
