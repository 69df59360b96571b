import json
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

from lib import ROOT

sys.path.append(str(ROOT / "tests"))

from benchmarks import bus  # noqa: E402
from benchmarks.bus_stacks import UVICORN, Stack, Worker  # noqa: E402
from benchmarks.layers_processes import LOADS, Process  # noqa: E402

BODY = b"Hello, world."


class Handler(BaseHTTPRequestHandler):
    """Answers every request, and counts connections."""

    protocol_version = "HTTP/1.1"
    # What is sent instead of BODY, and whether connections are closed.
    body = BODY
    closes = False
    disable_nagle_algorithm = True

    def setup(self):
        self.server.connections.append(self)
        super().setup()

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        if self.closes:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args):
        pass


class RequesterTests(unittest.TestCase):
    def load(self, seconds=0.2, **attributes):
        """Return what a turn against such a server measures, and connections."""
        handler = type("Handler", (Handler,), attributes)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.connections = []
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        about = {"port": server.server_port, "path": "/", "connections": 3}
        about["expected"] = BODY.decode()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        command = [sys.executable, LOADS / "requester.py", json.dumps(about)]
        process = Process(command, None, Path(folder.name, "log"))
        self.addCleanup(process.end)
        return process.ask("load", seconds=seconds), len(server.connections)

    def load_until_answered(self, **attributes):
        """Do so, again and for longer if the machine stood still meanwhile."""
        for seconds in (0.2, 2, 20):
            result, connections = self.load(seconds, **attributes)
            if result["count"] > 3:
                break
        return result, connections

    def test_connections_are_kept_as_long_as_the_server_does(self):
        result, connections = self.load_until_answered()
        self.assertGreater(result["count"], 3)
        self.assertEqual((result["errors"], connections), (0, 3))
        self.assertLessEqual(result["p50"], result["p99"])

    def test_a_closed_connection_is_opened_anew(self):
        result, connections = self.load_until_answered(closes=True)
        self.assertGreater(result["count"], 3)
        self.assertEqual(result["errors"], 0)
        self.assertGreaterEqual(connections, result["count"])

    def test_a_wrong_answer_is_an_error_and_does_not_count(self):
        result, _ = self.load(body=b"Good bye, all")
        self.assertGreater(result["errors"], 0)
        self.assertEqual(result["count"], 0)


class StackTests(unittest.TestCase):
    def make(self, **options):
        side = SimpleNamespace(command=lambda *words: list(words))
        return Stack("uvicorn, 2 workers", side, UVICORN, **options)

    def test_a_stack_with_workers_serves_the_layer(self):
        self.assertEqual(self.make().command[-1], "mysite.asgi:channel_layer")
        self.assertEqual(self.make(workers=0).command[-1], "mysite.wsgi:application")

    def test_its_name_can_be_a_part_of_others(self):
        self.assertEqual(self.make().slug, "uvicorn-2-workers")

    def test_a_worker_ends_with_its_context(self):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", "import time; time.sleep(600)"]
            with Worker(command, None, folder, Path(folder, "log")) as worker:
                self.assertIsNone(worker._process.poll())
            self.assertIsNotNone(worker._process.poll())

    def test_what_is_promised_is_compared_with_gunicorn(self):
        sides = SimpleNamespace(ours=None, peer=None)
        texts = [
            (target.name, target.bound, target.limit, target.other)
            for target in bus.trivial_view(sides, 32).targets
        ]
        self.assertIn((bus.ON_UVICORN, "at least", 1.0, bus.PEER), texts)
        self.assertIn((bus.ON_DAPHNE, "at least", 0.8, bus.PEER), texts)


if __name__ == "__main__":
    unittest.main()
