"""How runserver ends: Ctrl-C, other signals, a changed file."""

import os
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

from .development import RunserverTestCase

# Seconds in which Ctrl-C ends the server.
CTRL_C_SECONDS = 2
# How often a machine that is busy otherwise may try.
ATTEMPTS = 3
# How often a file is changed for the reloader, and the seconds that it has for each.
CHANGES, CHANGE_SECONDS = 12, 5


class EndTests(RunserverTestCase):
    def serve(self, *args, **options):
        """Return a Server, having noted how long it took to start."""
        begun = time.monotonic()
        server = super().serve(*args, **options)
        self.start_seconds = time.monotonic() - begun
        return server

    def serve_sockets(self, *args, count=3):
        """Return a server, and sockets that are open on it."""
        server = self.serve(*args)
        stack = self.enterContext(ExitStack())
        clients = [stack.enter_context(server.connect()) for _ in range(count)]
        server.process.wait_for_line(r"WebSocket CONNECT /chat", count=count)
        return server, clients

    def assertClosed(self, client, code):
        from websockets.exceptions import ConnectionClosed

        with self.assertRaisesMessage(ConnectionClosed, f"{code} "):
            client.recv(timeout=30)

    def assertInTime(self, end):
        """
        Check that ``end()``, which returns seconds, is quick enough.

        On a machine on which the start takes longer, the end may take as long.
        """
        too_long = []
        while len(too_long) < ATTEMPTS:
            seconds = end()
            if seconds < max(CTRL_C_SECONDS, self.start_seconds):
                return
            too_long.append((seconds, self.start_seconds))
        self.fail(f"Ends, and the starts before them, took seconds: {too_long}.")

    def test_ctrl_c(self):
        """Ctrl-C ends it in time, with sockets closed and consumers run."""
        for args in ["--noreload"], []:
            with self.subTest(args=args):
                self.assertInTime(lambda: self.end_sockets(args))

    def end_sockets(self, args):
        server, clients = self.serve_sockets(*args)
        started = time.monotonic()
        server.process.interrupt()
        self.assertEqual(server.process.wait(), 0)
        seconds = time.monotonic() - started
        for client in clients:
            self.assertClosed(client, 1001)
        server.process.wait_for_line("consumed /chat 1001", count=len(clients))
        self.assertQuiet(server.process)
        return seconds

    def test_impatient_ctrl_c(self):
        """A second Ctrl-C makes no traceback."""
        for args in ["--noreload"], []:
            with self.subTest(args=args):
                server, _ = self.serve_sockets(*args)
                server.process.interrupt()
                server.process.interrupt()
                server.process.wait()
                self.assertQuiet(server.process)

    def test_ctrl_c_with_busy_view(self):
        """A view that does not return does not hold up the end."""
        for args in ["--noreload"], []:
            for path in b"/never", b"/never/async":
                with self.subTest(args=args, path=path):
                    self.assertInTime(lambda: self.end_busy_view(args, path))

    def end_busy_view(self, args, path):
        server = self.serve(*args)
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
            server.process.wait_for_line("A view waits.")
            started = time.monotonic()
            server.process.interrupt()
            self.assertEqual(server.process.wait(), 0)
            seconds = time.monotonic() - started
        self.assertQuiet(server.process)
        return seconds

    def test_interrupted_reloader(self):
        """SIGINT for the reloader alone ends both processes in time."""
        self.assertInTime(self.end_reloader)

    def end_reloader(self):
        server, _ = self.serve_sockets()
        started = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        server.process.wait()
        self.assertQuiet(server.process)
        return time.monotonic() - started

    def test_terminated(self):
        """SIGTERM ends it in order, too."""
        server, (client,) = self.serve_sockets("--noreload", count=1)
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(), 0)
        self.assertClosed(client, 1001)
        self.assertQuiet(server.process)

    def change_a_file(self, process):
        """Have a file change until the reloader notices."""
        for seconds in range(10, 10 + CHANGES):
            # A later time than any that the reloader has seen.
            later = time.time() + seconds
            os.utime(Path(self.package) / "urls.py", (later, later))
            try:
                process.wait_for_line("urls.py changed, reloading", 1, CHANGE_SECONDS)
            except AssertionError:
                # It serves before it looks for the first time.
                continue
            return
        self.fail(f"No change was noticed. It wrote:\n{process.output}")

    def test_reload(self):
        """A changed file closes sockets and starts the server anew."""
        server, (client,) = self.serve_sockets(count=1)
        # A view that does not return does not hold it up.
        busy = self.enterContext(socket.create_connection(("127.0.0.1", server.port)))
        busy.sendall(b"GET /never/async HTTP/1.1\r\nHost: localhost\r\n\r\n")
        server.process.wait_for_line("A view waits.")
        self.change_a_file(server.process)
        self.assertClosed(client, 1001)
        server.process.wait_for_line("Quit the server", count=2)
        pattern = r"Starting .* at http://.*:(\d+)/"
        server.port = int(server.process.wait_for_line(pattern, count=2)[1])
        self.assertEqual(server.get("/paths")[0], 200)
        server.process.interrupt()
        self.assertEqual(server.process.wait(), 0)
        self.assertQuiet(server.process)
