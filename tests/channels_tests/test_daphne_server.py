import logging
import math
from importlib.util import find_spec
from unittest import mock, skipUnless

from django.channels.limits import DEFAULT_LIMITS
from django.channels.runserver import bind
from django.core.management.color import make_style
from django.test import SimpleTestCase
from django.utils.log import ServerFormatter

HTTP = {
    "method": "GET",
    "path": "/polls/?page=2",
    "status": 200,
    "time_taken": 0.0123,
    "client": "127.0.0.1:1234",
    "size": 5,
}
SOCKET = {"path": "/chat/", "client": "127.0.0.1:1234"}


@skipUnless(find_spec("daphne"), "Daphne is not installed.")
class DaphneTestCase(SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        from django.channels import daphne_server

        cls.module = daphne_server


class AccessLogTests(DaphneTestCase):
    def log(self, protocol, action, details):
        """Return the one record that an action is logged as."""
        with self.assertLogs("django.server", logging.DEBUG) as logs:
            self.module.log_action(protocol, action, details)
        (record,) = logs.records
        return record

    def format(self, record):
        formatter = ServerFormatter("[{server_time}] {message}", style="{")
        formatter.style = make_style("dark")
        return formatter.format(record)

    def test_request(self):
        """A request is a line with method, path, status, seconds and client."""
        record = self.log("http", "complete", HTTP)
        self.assertEqual(
            record.getMessage(),
            "HTTP GET /polls/?page=2 200 [0.01, 127.0.0.1:1234]",
        )
        self.assertRegex(record.server_time, r"^\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d$")

    def test_request_levels(self):
        """The level follows from the status, as in upstream's server."""
        levels = {
            200: logging.INFO,
            304: logging.INFO,
            404: logging.WARNING,
            500: logging.ERROR,
        }
        for status, level in levels.items():
            with self.subTest(status=status):
                record = self.log("http", "complete", {**HTTP, "status": status})
                self.assertEqual(record.levelno, level)
                self.assertEqual(record.status_code, status)

    def test_socket_events(self):
        """A socket event is a line with its name, path and client."""
        names = {
            "connecting": "HANDSHAKING",
            "connected": "CONNECT",
            "rejected": "REJECT",
            "disconnected": "DISCONNECT",
        }
        for action, name in names.items():
            with self.subTest(action=action):
                record = self.log("websocket", action, SOCKET)
                self.assertEqual(
                    record.getMessage(), f"WebSocket {name} /chat/ [127.0.0.1:1234]"
                )

    def test_colors(self):
        """Lines have the colors of their status; one without has none."""
        style = make_style("dark")
        for protocol, action, details, paint in [
            ("http", "complete", HTTP, style.HTTP_SUCCESS),
            ("http", "complete", {**HTTP, "status": 404}, style.HTTP_NOT_FOUND),
            ("websocket", "connected", SOCKET, style.HTTP_INFO),
            ("websocket", "rejected", SOCKET, style.HTTP_BAD_REQUEST),
            ("websocket", "disconnected", SOCKET, str),
        ]:
            with self.subTest(action=action, details=details):
                record = self.log(protocol, action, details)
                line = f"[{record.server_time}] {paint(record.getMessage())}"
                self.assertEqual(self.format(record), line)

    def test_control_characters(self):
        """What a client sends to play with the terminal is escaped."""
        details = {**HTTP, "path": "/\x1b[31m\n", "method": "G\x07"}
        message = self.log("http", "complete", details).getMessage()
        self.assertEqual(
            message, "HTTP G\\x07 /\\x1b[31m\\n 200 [0.01, 127.0.0.1:1234]"
        )

    def test_other_actions(self):
        """What is neither a request nor a socket event is not logged."""
        with self.assertNoLogs("django.server", logging.DEBUG):
            self.module.log_action("http", "unheard-of", HTTP)
            self.module.log_action("websocket", "unheard-of", SOCKET)


class DevelopmentServerTests(DaphneTestCase):
    def make(self, application=None, stop=mock.DEFAULT, **limits):
        self.listener = bind("127.0.0.1", 0)
        self.addCleanup(self.listener.close)
        return self.module.DevelopmentServer(
            application,
            self.listener,
            limits={**DEFAULT_LIMITS, **limits},
            root_path="/app",
            stop_application=stop,
        )

    def test_limits(self):
        """Sizes go to Daphne; None is its 0, which stands for no limit."""
        server = self.make(WEBSOCKET_FRAME_BYTES=10, WEBSOCKET_MESSAGE_BYTES=None)
        self.assertEqual(server.websocket_max_frame_size, 10)
        self.assertEqual(server.websocket_max_message_size, 0)

    def test_times(self):
        """Times are left to the application; Daphne's own are off."""
        server = self.make()
        self.assertIsNone(server.http_timeout)
        self.assertEqual(server.websocket_timeout, -1)
        self.assertEqual(server.websocket_handshake_timeout, 0)
        self.assertEqual(server.websocket_connect_timeout, math.inf)

    def test_root_path(self):
        """The root path is the server's."""
        self.assertEqual(self.make().root_path, "/app")

    def test_shut_down_before_serving(self):
        """A server that has not begun to serve ends its application and listener."""
        stop = mock.Mock()
        self.make(stop=stop).shut_down()
        self.assertEqual(self.listener.fileno(), -1)
        stop.assert_called_once()
        (seconds,) = stop.call_args.args
        self.assertLessEqual(seconds, self.module.STOP_SECONDS)

    def test_failure(self):
        """What the server's thread raises is raised by serve()."""
        server = self.make()
        with mock.patch.object(server, "run", side_effect=OSError("No reactor.")):
            with self.assertRaisesMessage(OSError, "No reactor."):
                server.serve()
