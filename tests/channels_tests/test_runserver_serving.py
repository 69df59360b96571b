"""What runserver serves, and what it says about it."""

import socket
from http.client import IncompleteRead
from unittest import skipUnless

from .development import RunserverTestCase
from .processes import PATIENCE_SECONDS

HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: localhost\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
TEXT, CLOSE = 0x81, 0x88


def frame(kind, payload=b""):
    """Return a short frame of a client, masked with zeros."""
    return bytes([kind, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def read_until(client, end):
    """Read from a socket until there was a sequence of bytes."""
    found = b""
    while end not in found:
        data = client.recv(1000)
        assert data, found
        found += data


class ServingTests(RunserverTestCase):
    def test_serving(self):
        """Views, static files and sockets are served, each with a line."""
        server = self.serve("--noreload")
        self.assertEqual(server.get("/paths?x=1"), (200, b" /paths"))
        status, body = server.get("/static/admin/css/base.css")
        self.assertEqual((status, body[:4]), (200, b"/*\n "))
        self.assertEqual(server.get("/missing")[0], 404)
        with server.connect() as client:
            client.send("hello")
            self.assertRegex(client.recv(timeout=30), "^echo hello$")
        for line in (
            r"^Channel layer default \(django\.channels\.backends\.memory\."
            r"MemoryChannelLayer\), 4 worker threads$",
            r"\] HTTP GET /paths\?x=1 200 \[\d+\.\d\d, 127\.0\.0\.1:\d+\]$",
            r"\] HTTP GET /static/admin/css/base\.css 200 \[",
            r"\] HTTP GET /missing 404 \[",
            r"\] WebSocket HANDSHAKING /chat \[127\.0\.0\.1:\d+\]$",
            r"\] WebSocket CONNECT /chat \[",
            r"\] WebSocket DISCONNECT /chat \[",
            r"^consumed /chat 1000$",
        ):
            server.process.wait_for_line(line)
        self.assertQuiet(server.process)

    def test_denied(self):
        """A socket that a consumer denies is refused, with a line."""
        from websockets.exceptions import InvalidStatus

        server = self.serve("--noreload", "--nothreading")
        with self.assertRaisesMessage(InvalidStatus, "HTTP 403"):
            server.connect("/denied").__enter__()
        server.process.wait_for_line(r"\] WebSocket REJECT /denied \[")
        server.process.wait_for_line(r"MemoryChannelLayer\), 1 worker thread$")

    def test_foreign_origins(self):
        """Origins are judged by the application, and ``null`` is one of them."""
        from websockets.exceptions import InvalidStatus

        server = self.serve("--noreload")
        for origin in "null", "http://evil.example", "file://":
            with self.subTest(origin=origin):
                with self.assertRaisesMessage(InvalidStatus, "HTTP 403"):
                    server.connect(origin=origin).__enter__()
                server.process.wait_for_line(f"its Origin '{origin}' is not allowed")

    def test_response_that_breaks_off(self):
        """A response that fails midway ends with its connection, incomplete."""
        server = self.serve("--noreload")
        with self.assertRaises(IncompleteRead):
            server.get("/broken")
        server.process.wait_for_line("ValueError: The other half is missing.")
        self.assertEqual(server.get("/paths")[0], 200)

    def test_frame_limit(self):
        """A frame above the limit of CHANNEL_LIMITS closes the socket."""
        from websockets.exceptions import ConnectionClosed

        server = self.serve("--noreload")
        with server.connect() as client:
            client.send("a" * 1001)
            with self.assertRaisesMessage(ConnectionClosed, "1009"):
                client.recv(timeout=30)
        self.assertEqual(server.get("/paths")[0], 200)

    def test_a_client_that_closes_without_reading(self):
        """What it is sent later is dropped, without a word in the log."""
        server = self.serve("--noreload")
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.settimeout(PATIENCE_SECONDS)
            client.sendall(HANDSHAKE)
            read_until(client, b"\r\n\r\n")
            client.sendall(frame(TEXT, b"flood"))
            read_until(client, b"xxx")
            client.sendall(frame(TEXT, b"hello") + frame(CLOSE))
            server.process.wait_for_line(r"^consumed /chat 1006$")
        self.assertEqual(server.get("/paths")[0], 200)
        self.assertQuiet(server.process)

    def test_timeouts(self):
        """The timeouts of the command line are in force."""
        from websockets.exceptions import InvalidStatus

        server = self.serve(
            "--noreload", "--http-timeout=0.2", "--websocket_handshake_timeout=0.2"
        )
        self.assertEqual(server.get("/never")[0], 503)
        with self.assertRaisesMessage(InvalidStatus, "HTTP "):
            server.connect("/undecided").__enter__()

    def test_script_name(self):
        """FORCE_SCRIPT_NAME is the root path."""
        server = self.serve("--noreload", env={"SCRIPT_NAME": "/app"})
        self.assertEqual(server.get("/app/paths"), (200, b"/app /paths"))

    @skipUnless(socket.has_ipv6, "Python is built without IPv6.")
    def test_ipv6(self):
        """An IPv6 address serves requests and sockets."""
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError as error:
            self.skipTest(f"The machine has no IPv6 loopback: {error}")
        server = self.serve("--noreload", address="[::1]:0")
        self.assertEqual(server.get("/paths")[0], 200)
        with server.connect() as client:
            client.send("hello")
            self.assertRegex(client.recv(timeout=30), "hello")
        server.process.wait_for_line(r"Starting .* at http://\[::1\]:")

    def test_noworker(self):
        """With --noworker nothing is consumed here; static files are served."""
        server = self.serve(
            "--noreload",
            "--noworker",
            "--http-timeout=0.2",
            env={"SPANNING_LAYER": "1"},
        )
        self.assertEqual(server.get("/paths")[0], 503)
        self.assertEqual(server.get("/static/admin/css/base.css")[0], 200)
        server.process.wait_for_line(
            r"^Channel layer default \(mysite\.layers\.SpanningLayer\), no worker "
            r"threads: start manage\.py runworker$"
        )
        server.process.interrupt()
        self.assertEqual(server.process.wait(), 0)
        self.assertQuiet(server.process)

    def test_https(self):
        """A client that speaks HTTPS is told apart, and ends at once."""
        server = self.serve("--noreload")
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.settimeout(30)
            client.sendall(b"\x16\x03\x01\x02\x00\x01")
            self.assertEqual(client.recv(100), b"")
        server.process.wait_for_line("A client speaks HTTPS, which runserver does not")

    def test_without_layer(self):
        """Without a layer it is upstream's server, plus one line."""
        server = self.serve("--noreload", env={"WITHOUT_LAYER": "1"})
        self.assertEqual(server.get("/paths"), (200, b" /paths"))
        server.process.wait_for_line(r'"GET /paths HTTP/1\.1" 200')
        server.process.wait_for_line(r'not served: set CHANNEL_LAYERS\["default"\]')

    def test_port_in_use(self):
        """A port in use is reported as upstream's server reports it."""
        message = "Error: That port is already in use.\n"
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:{}".format(taken.getsockname()[1])
            for args in ["--noreload"], [], ["--noreload", "--noasgi"]:
                with self.subTest(args=args):
                    process = self.start(*args, address=address)
                    self.assertEqual(process.wait(), 1)
                    self.assertEqual(process.lines[-1], message)
                    self.assertNotIn("Traceback", process.output)
