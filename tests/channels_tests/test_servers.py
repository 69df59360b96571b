"""The generated asgi.py behind real servers, started by their own commands."""

import re
import signal
import sys
import time
from importlib.util import find_spec
from unittest import skipUnless

from .development import RunserverTestCase, Server
from .processes import Process
from .utils import TIMEOUT


class ServedProject(Server):
    """A server process, once it has said on which port it listens."""

    def __init__(self, process, listening):
        self.process = process
        self.host = "127.0.0.1"
        self.port = int(process.wait_for_line(listening)[1])


class ServerTests:
    """What holds for every ASGI 3 server; ``command`` and ``listening`` differ."""

    def serve(self, callable_name):
        command = [sys.executable, "-m", *self.command, f"mysite.asgi:{callable_name}"]
        process = Process(command, cwd=self.directory)
        self.addCleanup(process.kill)
        return ServedProject(process, self.listening)

    def assertRefused(self, server, status, *args, **kwargs):
        from websockets.exceptions import InvalidStatus

        with self.assertRaises(InvalidStatus) as caught:
            server.connect(*args, **kwargs).__enter__()
        self.assertIn(f"HTTP {status}", str(caught.exception))

    def test_application_serves_views_and_sockets(self):
        server = self.serve("application")
        self.assertEqual(server.get("/paths"), (200, b" /paths"))
        with server.connect() as one, server.connect() as two:
            for client, text in ((one, "a"), (two, "b"), (one, "ä")):
                client.send(text)
                self.assertEqual(client.recv(timeout=TIMEOUT), f"echo {text}")
        for _ in range(2):
            server.process.wait_for_line("consumed /chat 1000")
        self.assertQuiet(server.process)

    def test_application_refuses_what_it_must(self):
        server = self.serve("application")
        self.assertRefused(server, 403, "/denied")
        self.assertRefused(server, 403, origin="http://evil.test")
        with server.connect(origin=f"http://127.0.0.1:{server.port}") as client:
            client.send("a")
            self.assertEqual(client.recv(timeout=TIMEOUT), "echo a")

    def test_channel_layer_on_memory_answers_503_at_once_and_says_why_once(self):
        server = self.serve("channel_layer")
        began = time.monotonic()
        for _ in range(3):
            status, body = server.get("/paths")
            self.assertEqual((status, body), (503, b"Request queue full.\n"))
            self.assertRefused(server, self.refusal_status)
        self.assertLess(time.monotonic() - began, TIMEOUT)
        server.process.wait_for_line("does not span processes")
        # Daphne adds a handler of its own, which writes it a second time.
        told = server.process.output.count("does not span processes")
        self.assertIn(told, (1, 2))

    def test_ending_with_open_sockets_runs_their_disconnect_consumers(self):
        server = self.serve("application")
        with server.connect() as client:
            client.send("a")
            client.recv(timeout=TIMEOUT)
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(TIMEOUT)
        self.assertEqual(len(re.findall("consumed /chat", server.process.output)), 1)
        self.assertNotIn("Traceback", server.process.output)


@skipUnless(find_spec("daphne"), "Daphne is not installed.")
class DaphneTests(ServerTests, RunserverTestCase):
    command = ["daphne", "--port=0"]
    listening = r"Listening on TCP address 127\.0\.0\.1:(\d+)"
    # Daphne answers every refused handshake so.
    refusal_status = 403


@skipUnless(find_spec("uvicorn"), "uvicorn is not installed.")
class UvicornTests(ServerTests, RunserverTestCase):
    command = ["uvicorn", "--port=0"]
    listening = r"Uvicorn running on http://127\.0\.0\.1:(\d+)"
    refusal_status = 503
