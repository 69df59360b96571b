"""What clients and consumers do wrong leaves a server as it was."""

import contextlib
import json
import os
import re
import socket
import struct
import time

from django.channels.asgi import CONSUMER_THREADS

from .development import RunserverTestCase
from .utils import TIMEOUT

ROUTING = """
import threading

from django.channels import Group, route


def connect(message):
    if message["path"] == "/broken":
        raise ValueError("This consumer is broken.")
    message.reply_channel.send({"accept": True})
    Group("everybody").add(message.reply_channel)


def receive(message):
    if message.get("text") == "fail":
        raise ValueError("The client asked for it.")
    if message.get("text") == "list":
        message.reply_channel.send(["no", "dict"])
    if message.get("text") == "value":
        message.reply_channel.send({"text": threading.Lock()})
    message.reply_channel.send({"text": "echo"})


channel_routing = [
    route("websocket.connect", connect, path="^/(?:chat|broken)$"),
    route("websocket.receive", receive),
]
"""

URLS = """
import os
import threading

from django.channels import channel_layers
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt


def state(request):
    layer = channel_layers["default"]
    layer.send_group("everybody", {"text": "Is anybody there?"})
    return JsonResponse(
        {
            "descriptors": len(os.listdir("/proc/self/fd")),
            "threads": threading.active_count(),
            "pending": layer.statistics()["messages_pending"],
        }
    )


@csrf_exempt
def upload(request):
    return HttpResponse(sum(file.size for file in request.FILES.values()))


def endless(request):
    return StreamingHttpResponse(b"x" * 65536 for _ in iter(int, 1))


urlpatterns = [
    path("state", state),
    path("upload", upload),
    path("endless", endless),
]
"""

REPEATS = 10
# More than FILE_UPLOAD_MAX_MEMORY_SIZE, so that it is in a file.
UPLOAD_BYTES = 4_000_000


class RobustnessTests(RunserverTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (cls.package / "routing.py").write_text(ROUTING)
        (cls.package / "urls.py").write_text(URLS)

    def setUp(self):
        if not os.path.isdir("/proc/self/fd"):
            self.skipTest("The system has no /proc/self/fd to count descriptors in.")
        self.server = self.serve("--noreload")
        with self.server.connect("/chat") as client:
            client.send("hello")
            client.recv(timeout=TIMEOUT)
        self.server.process.wait_for_line("WebSocket DISCONNECT /chat")
        # Each request starts one of the threads, until there are all of them.
        for _ in range(CONSUMER_THREADS):
            self.state()
        # What is still under way of that socket may only make this larger.
        self.before = {**self.state(), "pending": 0}

    def state(self):
        return json.loads(self.server.get("/state")[1])

    def assertNothingLeft(self):
        """Wait until the server has no more of anything than before."""
        deadline = time.monotonic() + TIMEOUT
        while more := self.more_than_before():
            if time.monotonic() >= deadline:
                self.fail(f"More than {self.before} is left: {more}.")

    def more_than_before(self):
        """Return what the server has more of now."""
        state = self.state()
        return {key: n for key, n in state.items() if n > self.before[key]}

    @contextlib.contextmanager
    def raw(self):
        """Open a connection that is reset at the end."""
        address = (self.server.host, self.server.port)
        with socket.create_connection(address, TIMEOUT) as client:
            yield client
            linger = struct.pack("ii", 1, 0)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def test_clients_that_vanish_within_an_upload(self):
        head = (
            f"POST /upload HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Length: {UPLOAD_BYTES * 2}\r\n\r\n"
        )
        for _ in range(REPEATS):
            with self.raw() as client:
                client.sendall(head.encode() + b"x" * UPLOAD_BYTES)
        self.assertNothingLeft()

    def test_clients_that_vanish_within_a_response(self):
        for _ in range(REPEATS):
            with self.raw() as client:
                client.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertTrue(client.recv(1000))
        self.assertNothingLeft()

    def test_sockets_that_vanish(self):
        for _ in range(REPEATS):
            with self.raw() as client:
                self.shake_hands(client)
        self.assertNothingLeft()

    def shake_hands(self, client, path="/chat"):
        client.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        self.assertIn(b"101 Switching Protocols", client.recv(10_000))

    def test_frames_that_are_no_text(self):
        for _ in range(REPEATS):
            with self.raw() as client:
                self.shake_hands(client)
                # A masked text frame that holds one byte, 0xff.
                client.sendall(bytes([0x81, 0x81, 0, 0, 0, 0, 0xFF]))
                frame = client.recv(1000)
                self.assertEqual(frame[0], 0x88)
                self.assertEqual(int.from_bytes(frame[2:4], "big"), 1007)
        self.assertNothingLeft()

    def test_requests_that_are_none(self):
        for _ in range(REPEATS):
            with self.raw() as client:
                client.sendall(b"\x00\xff nonsense\r\n\r\n")
                client.recv(1000)
        self.assertNothingLeft()

    def test_consumers_that_raise(self):
        with self.server.connect("/chat") as client:
            for text, error in (
                ("fail", "ValueError: The client asked for it."),
                ("list", "TypeError: You can only send dicts, not ['no', 'dict']"),
                ("value", "TypeError: message['text'] is <unlocked _th"),
            ):
                client.send(text)
                client.send("hello")
                self.assertEqual(client.recv(timeout=TIMEOUT), "echo")
                self.server.process.wait_for_line(re.escape(error))
        self.assertNothingLeft()

    def test_handshakes_that_fail(self):
        from websockets.exceptions import InvalidStatus

        for path, error in (
            ("/broken", "ValueError: This consumer is broken."),
            ("/nowhere", "No route takes websocket.connect for '/nowhere'."),
        ):
            for _ in range(REPEATS):
                with self.assertRaisesMessage(InvalidStatus, "HTTP 403"):
                    self.server.connect(path).__enter__()
            self.server.process.wait_for_line(re.escape(error))
        self.assertNothingLeft()
