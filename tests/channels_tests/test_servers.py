"""The generated asgi.py behind real servers, started by their own commands."""

import json
import re
import signal
import socket
import sys
import time
from http.client import HTTPConnection
from importlib.util import find_spec
from unittest import skipUnless

from . import services
from .development import RunserverTestCase, Server
from .processes import Process, manage
from .services.waiting import wait_for
from .utils import TIMEOUT


class ServedProject(Server):
    """A server process, once it has said on which port it listens."""

    def __init__(self, process, listening):
        self.process = process
        self.host = "127.0.0.1"
        self.port = int(process.wait_for_line(listening)[1])


class ServerTests:
    """What holds for every ASGI 3 server; ``command`` and ``listening`` differ."""

    # The code that it reports when a client closes its socket with 1000.
    normal_code = 1000

    def get_command(self):
        return self.command

    def serve(self, callable_name, env=None):
        command = [sys.executable, "-m", *self.get_command()]
        command.append(f"mysite.asgi:{callable_name}")
        process = Process(command, cwd=self.directory, env=env)
        self.addCleanup(process.kill)
        return ServedProject(process, self.listening)

    def end(self, server, client):
        """End the server while it serves ``client``, a socket."""
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(TIMEOUT)

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
        server.process.wait_for_line(f"consumed /chat {self.normal_code}", count=2)
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
            self.assertEqual((status, body), (503, b"Request queue not available.\n"))
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
            self.end(server, client)
        self.assertEqual(len(re.findall("consumed /chat", server.process.output)), 1)
        # Hypercorn cancels its own tasks with a traceback, but none through us.
        self.assertNotIn("django", server.process.output)

    def test_channel_layer_serves_by_workers_behind_it(self):
        layer = {
            "BACKEND": "django.channels.backends.redis.RedisChannelLayer",
            "CONFIG": {
                "hosts": [services.redis().url],
                "prefix": f"{services.unique_name()}:",
            },
        }
        env = {"CHANNEL_LAYER": json.dumps(layer)}
        worker = manage(self.directory, "runworker", env=env)
        self.addCleanup(worker.kill)
        worker.wait_for_line("Running worker")
        one, two = (self.serve("channel_layer", env) for _ in range(2))
        for server in (one, two):
            self.assertEqual(server.get("/paths"), (200, b" /paths"))
            self.assertRefused(server, 403, "/denied")
            with server.connect() as client:
                for text in ("a", "ä"):
                    client.send(text)
                    self.assertEqual(client.recv(timeout=TIMEOUT), f"echo {text}")
        worker.wait_for_line("consumed /chat", count=2)
        for process in (one.process, two.process, worker):
            self.assertQuiet(process)


@skipUnless(find_spec("daphne"), "Daphne is not installed.")
class DaphneTests(ServerTests, RunserverTestCase):
    command = ["daphne", "--port=0", "--websocket_connect_timeout=60"]
    listening = r"Listening on TCP address 127\.0\.0\.1:(\d+)"
    # Daphne answers every refused handshake so.
    refusal_status = 403


@skipUnless(find_spec("uvicorn"), "uvicorn is not installed.")
class UvicornTests(ServerTests, RunserverTestCase):
    command = ["uvicorn", "--port=0"]
    listening = r"Uvicorn running on http://127\.0\.0\.1:(\d+)"
    refusal_status = 503


@skipUnless(find_spec("hypercorn"), "Hypercorn is not installed.")
class HypercornTests(ServerTests, RunserverTestCase):
    command = ["hypercorn", "--bind=127.0.0.1:0", "--keep-alive=600"]
    listening = r"Running on http://127\.0\.0\.1:(\d+)"
    normal_code = 1006
    refusal_status = 503

    def end(self, server, client):
        # asyncio.Server.wait_closed() waits for clients since Python 3.12, and
        # Hypercorn awaits it before its graceful timeout begins: it serves its open
        # sockets until they leave, however long.
        if sys.version_info < (3, 12):
            return super().end(server, client)
        idle = HTTPConnection(server.host, server.port, timeout=TIMEOUT)
        self.addCleanup(idle.close)
        idle.request("GET", "/paths")
        idle.getresponse().read()
        server.process.send_signal(signal.SIGTERM)
        # Ending begins with the connections that are idle.
        self.assertEqual(idle.sock.recv(1), b"")
        client.send("b")
        self.assertEqual(client.recv(timeout=TIMEOUT), "echo b")
        client.close()
        server.process.wait(TIMEOUT)


@skipUnless(find_spec("granian"), "Granian is not installed.")
class GranianTests(ServerTests, RunserverTestCase):
    listening = r"Listening at: http://127\.0\.0\.1:(\d+)"
    refusal_status = 503

    def serve(self, *args):
        server = super().serve(*args)
        # It says so before.
        address = (server.host, server.port)
        wait_for(
            lambda: socket.create_connection(address).close() is None,
            "it accepts connections",
        )
        return server

    def get_command(self):
        # It does not say which port 0 was. Nobody else gets this one before it.
        kept = socket.socket()
        self.addCleanup(kept.close)
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
        return ["granian", "--interface=asgi", f"--port={port}"]
