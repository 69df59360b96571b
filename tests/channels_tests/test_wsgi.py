import io
import threading
import time
from http.client import responses
from unittest import mock
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from django.channels import channel_layers
from django.channels.exceptions import (
    InvalidChannelLayerError,
    LayerUnavailable,
    RequestTimeout,
)
from django.channels.handler import AsgiHandler
from django.channels.interface import wsgi
from django.channels.interface.bodies import BODY_CHUNK_BYTES, BODY_WINDOW
from django.channels.interface.wsgi import WsgiApplication
from django.channels.interface.wsgi_output import status_line
from django.channels.limits import get_limits
from django.channels.worker import WorkerGroup
from django.channels.wsgi import get_bus_application
from django.http import HttpResponse
from django.test import SimpleTestCase, override_settings
from django.test.channel_layers import cites

from . import views
from .layers import SpanningLayer, default_layer, make_layer
from .messages import assert_specified
from .utils import TIMEOUT, patch_for

# Python 3.13 has the newer name.
TOO_LARGE = f"413 {responses[413]}"


class WsgiTestCase(SimpleTestCase):
    def setUp(self):
        self.layer = make_layer(layer_class=SpanningLayer)
        self.addCleanup(self.layer.close)
        self.application = WsgiApplication(self.layer)

    def call(self, path="/", body=b"", **environ):
        """Return (status line, headers, iterable) as a server gets them."""
        environ = {
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "HTTP_HOST": "testserver",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            **environ,
        }
        setup_testing_defaults(environ)
        started = []

        def start_response(status, headers, exc_info=None):
            started.extend((status, headers))
            return started.append

        parts = validator(self.application)(environ, start_response)
        return *started[:2], parts

    def get(self, *args, **environ):
        """Return (status line, headers, body)."""
        status, headers, parts = self.call(*args, **environ)
        try:
            return status, dict(headers), b"".join(parts)
        finally:
            parts.close()

    def in_thread(self, *args, **environ):
        """Begin a request in a thread; return what waits for its response."""
        results = []
        thread = threading.Thread(
            target=lambda: results.append(self.get(*args, **environ)), daemon=True
        )
        thread.start()

        def wait():
            thread.join(TIMEOUT)
            return results[0]

        return wait

    def next_message(self, *channels):
        channels = channels or ("http.request", "http.disconnect")
        _, message = self.layer.receive(list(channels), block=True, timeout=TIMEOUT)
        assert_specified(self, message)
        return message

    def limit(self, **limits):
        self.application = WsgiApplication(self.layer, limits)


class MessageTests(WsgiTestCase):
    """What comes onto the layer; the tests are the consumers."""

    @cites("HTTP-1", "as one http.request message")
    def test_a_request_becomes_one_message(self):
        response = self.in_thread(
            # As servers give what was sent as UTF-8.
            "/ä/".encode().decode("latin1"),
            b"abcd",
            REQUEST_METHOD="POST",
            QUERY_STRING="a=%20",
            SCRIPT_NAME="/app",
            REMOTE_ADDR="10.0.0.1",
            REMOTE_PORT="1234",
            SERVER_NAME="10.0.0.2",
            SERVER_PORT="80",
            HTTP_X_A="1,2",
            CONTENT_TYPE="text/plain",
            SERVER_PROTOCOL="HTTP/1.1",
        )
        message = self.next_message()
        self.layer.send(message.pop("reply_channel"), {"status": 204})
        self.assertCountEqual(
            message.pop("headers"),
            [
                [b"host", b"testserver"],
                [b"content-length", b"4"],
                [b"content-type", b"text/plain"],
                [b"x-a", b"1,2"],
            ],
        )
        self.assertEqual(
            message,
            {
                "type": "http.request",
                "http_version": "1.1",
                "method": "POST",
                "scheme": "http",
                "path": "/app/ä/",
                "query_string": b"a=%20",
                "root_path": "/app",
                "body": b"abcd",
                "client": ["10.0.0.1", 1234],
                "server": ["10.0.0.2", 80],
            },
        )
        self.assertEqual(response(), ("204 No Content", {}, b""))

    @cites("HTTP-4", "A body of more than 65,536 bytes")
    def test_a_large_body_comes_in_chunks(self):
        body = bytes(range(256)) * 1000
        response = self.in_thread("/", body, REQUEST_METHOD="POST")
        message = self.next_message()
        parts, more = [message["body"]], True
        while more:
            part = self.next_message(message["body_channel"])
            parts.append(part["content"])
            more = part["more_content"]
        self.assertEqual({len(part) for part in parts[:-1]}, {BODY_CHUNK_BYTES})
        self.assertEqual(b"".join(parts), body)
        self.layer.send(message["reply_channel"], {"status": 204})
        self.assertEqual(response()[0], "204 No Content")

    @cites("HTTP-5", "logged and ignored")
    def test_a_credit_that_is_none_is_logged_and_ignored(self):
        chunks = BODY_WINDOW + 2
        body = b"x" * BODY_CHUNK_BYTES * chunks
        response = self.in_thread("/", body, REQUEST_METHOD="POST")
        message = self.next_message()
        name, credit = message["reply_channel"], {"type": "http.request.credit"}
        with self.assertLogs("django.channels.interface", "ERROR") as logs:
            for none in None, "1", 1.5, True, 0, -1, BODY_WINDOW + 1, 2**62:
                self.layer.send(name, {**credit, "chunks": none})
            self.layer.send(name, {**credit, "chunks": BODY_WINDOW})
            for _ in range(chunks - 1):
                self.assertIn("content", self.next_message(message["body_channel"]))
            self.layer.send(name, {"status": 204})
            self.assertEqual(response()[0], "204 No Content")
        self.assertEqual(len(logs.output), 8)
        self.assertIn("an int from 1 to 64, not None.", logs.output[0])

    @cites("HTTP-6", "or the request is refused meanwhile")
    def test_an_answer_that_comes_early_ends_the_body(self):
        body = b"x" * BODY_CHUNK_BYTES * 100
        response = self.in_thread("/", body, REQUEST_METHOD="POST")
        message = self.next_message()
        headers = [[b"Content-Type", b"text/plain"]]
        self.layer.send(message["reply_channel"], {"status": 413, "headers": headers})
        self.assertEqual(response()[0], TOO_LARGE)
        while not self.next_message(message["body_channel"]).get("closed"):
            continue

    @cites("HTTP-9", "at least once for every 16 messages")
    def test_credit_is_given_for_what_was_passed_on(self):
        response = self.in_thread("/")
        message = self.next_message()
        start = {"headers": [[b"Content-Type", b"text/plain"]], "status": 200}
        part = {"content": b"x", "more_content": True}
        name = self.layer.new_channel("http.response.credit?")
        first = {**start, **part, "credit_channel": name}
        replies = [first, *[part] * 39, {"content": b"!"}]
        for reply in replies:
            self.layer.send(message["reply_channel"], reply)
        self.assertEqual(response()[2], b"x" * 40 + b"!")
        credits = [m for _, m in self.layer.receive_batch([name], 100)]
        self.assertEqual([credit["chunks"] for credit in credits], [16, 16])
        self.assertEqual(self.layer.statistics()["messages_pending"], 0)

    @cites("HTTP-11", "When a client goes away before its response is complete")
    @cites("HTTP-14", "because the client went away")
    def test_a_body_that_is_closed_early_stops_the_response(self):
        name = self.layer.new_channel("http.response.credit?")
        self.begin_response(name)
        _, _, parts = self.call("/")
        self.assertEqual(next(iter(parts)), b"x")
        parts.close()
        self.assertIs(self.next_message(name)["closed"], True)
        self.assertEqual(self.next_message()["type"], "http.disconnect")

    def begin_response(self, credit_channel):
        """Have a thread begin a response to the next request."""
        thread = threading.Thread(
            target=self.send_first, args=(credit_channel,), daemon=True
        )
        thread.start()

    def send_first(self, credit_channel):
        message = self.next_message()
        self.layer.send(
            message["reply_channel"],
            {
                "status": 200,
                "headers": [[b"Content-Type", b"text/plain"]],
                "content": b"x",
                "more_content": True,
                "credit_channel": credit_channel,
            },
        )

    def test_a_response_that_goes_silent_is_cut_off(self):
        limits = get_limits()
        self.begin_response("credit?x")
        with mock.patch.object(wsgi, "get_limits", return_value=limits):
            _, _, parts = self.call("/")
        iterator = iter(parts)
        self.assertEqual(next(iterator), b"x")
        # Not before: the first part may come late on a machine with much to do.
        limits["HTTP_RESPONSE_SECONDS"] = 0.05
        msg = "A part of the response did not come within 0.05 s."
        with self.assertRaisesMessage(RequestTimeout, msg):
            next(iterator)
        parts.close()

    @cites("HTTP-16", "must not end the response as if it were complete")
    def test_a_response_that_fails_on_the_way_is_cut_off(self):
        def answer():
            name = self.next_message()["reply_channel"]
            start = {"status": 200, "headers": [[b"Content-Type", b"text/plain"]]}
            self.layer.send(name, {**start, "more_content": True})
            self.layer.send(name, {"status": 500, "content": b"Error"})

        threading.Thread(target=answer, daemon=True).start()
        status, _, parts = self.call("/")
        self.assertEqual(status, "200 OK")
        with self.assertLogs("django.channels.interface", "ERROR"):
            with self.assertRaisesMessage(ValueError, "The response broke off: "):
                list(parts)
        parts.close()
        self.assertEqual(self.next_message()["type"], "http.disconnect")

    @cites("HTTP-8", "answers with status 500 if nothing was sent yet")
    def test_a_response_that_is_none_becomes_a_500(self):
        response = self.in_thread("/")
        with self.assertLogs("django.channels.interface", "ERROR"):
            self.layer.send(self.next_message()["reply_channel"], {"status": "200"})
            status, _, body = response()
        self.assertEqual(status, "500 Internal Server Error")
        self.assertEqual(body, b"Invalid response.\n")


class LimitTests(WsgiTestCase):
    def test_a_layer_that_is_away_answers_503_and_is_told_of_once(self):
        away = LayerUnavailable("gone")
        with mock.patch.object(self.layer.channel_layer, "send", side_effect=away):
            with self.assertLogs("django.channels.interface", "ERROR") as logs:
                for _ in range(2):
                    status, _, body = self.get("/")
                    self.assertEqual(status, "503 Service Unavailable")
                    self.assertEqual(body, b"Request queue not available.\n")
        line = "ERROR:django.channels.interface:Cannot send to http.request: gone"
        self.assertEqual(logs.output, [line])

    @cites("HTTP-12", "stays full for its time limit, 0.5 seconds by default")
    def test_a_channel_that_stays_full_answers_503(self):
        self.layer = make_layer(layer_class=SpanningLayer, capacity=1)
        self.layer.send("http.request", {"path": "/other/"})
        self.limit(HTTP_QUEUE_SECONDS=0.05)
        status, _, body = self.get("/")
        self.assertEqual(status, "503 Service Unavailable")
        self.assertEqual(body, b"Request queue full.\n")
        self.assertEqual(self.layer.statistics()["messages_pending"], 1)

    def test_a_request_waits_for_room(self):
        self.layer = make_layer(layer_class=SpanningLayer, capacity=1)
        self.layer.send("http.request", {"path": "/other/"})
        self.limit(HTTP_QUEUE_SECONDS=None)
        response = self.in_thread("/")
        while not self.layer.statistics("http.request")["channel_full_count"]:
            time.sleep(0)
        self.assertEqual(self.layer.receive(["http.request"])[1]["path"], "/other/")
        self.layer.send(self.next_message()["reply_channel"], {"status": 204})
        self.assertEqual(response()[0], "204 No Content")

    def test_pauses_between_tries_grow_longer(self):
        self.layer = make_layer(layer_class=SpanningLayer, capacity=1)
        self.layer.send("http.request", {"path": "/other/"})
        self.limit(HTTP_QUEUE_SECONDS=None, HTTP_RESPONSE_SECONDS=0.01)
        pauses = []

        def sleep(seconds):
            pauses.append(seconds)
            if len(pauses) == 5:
                self.layer.receive(["http.request"])

        patch_for(self, wsgi, "time", mock.Mock(wraps=time, sleep=sleep))
        self.assertEqual(self.get("/")[0], "503 Service Unavailable")
        self.assertEqual(self.next_message()["path"], "/")
        self.assertEqual(pauses, [0.002, 0.004, 0.008, 0.01, 0.01])

    @cites("HTTP-14", "or because the server answered in its place")
    def test_an_answer_that_comes_too_late_is_stopped(self):
        self.limit(HTTP_RESPONSE_SECONDS=0.05)
        with self.assertLogs("django.channels.interface", "WARNING") as logs:
            self.assertEqual(self.get("/")[0], "503 Service Unavailable")
        self.assertIn("No response to / came within 0.05 s.", logs.output[0])
        message = self.next_message()
        part = {"status": 200, "more_content": True, "credit_channel": "credit?x"}
        self.layer.send(message["reply_channel"], part)
        self.assertIs(self.next_message("credit?x")["closed"], True)

    def test_reply_channels_of_late_answers_are_closed_in_the_end(self):
        self.limit(HTTP_RESPONSE_SECONDS=0.05)
        for _ in range(2):
            self.get("/")
            self.assertEqual(len(self.application.replies._open), 1)
            self.application._leftovers[0] = (0, self.application._leftovers[0][1])

    @cites("HTTP-13", "with status 431 when the headers are larger")
    @cites("HTTP-18", "a response to HEAD, or with status 204 or 304")
    def test_a_refusal_of_head_has_no_content(self):
        self.limit(HTTP_HEADER_BYTES=100)
        status, _, body = self.get(HTTP_COOKIE="x" * 100, REQUEST_METHOD="HEAD")
        self.assertEqual(status, "431 Request Header Fields Too Large")
        self.assertEqual(body, b"")

    def test_headers_above_the_limit_get_431(self):
        self.limit(HTTP_HEADER_BYTES=100)
        status = self.get("/", HTTP_COOKIE="x" * 100)[0]
        self.assertEqual(status, "431 Request Header Fields Too Large")
        self.assertEqual(self.layer.statistics()["messages_pending"], 0)

    @cites("HTTP-13", "whether its length was announced or not")
    def test_a_body_above_the_limit_gets_413(self):
        self.limit(HTTP_BODY_BYTES=10)
        announced = {"REQUEST_METHOD": "POST"}
        unannounced = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
        for environ in announced, {**announced, **unannounced}:
            status = self.get("/", b"x" * 11, **environ)[0]
            self.assertEqual(status, TOO_LARGE)

    def test_a_body_that_ends_early_is_a_400(self):
        status, _, body = self.get("/", b"x", CONTENT_LENGTH="5", REQUEST_METHOD="POST")
        self.assertEqual(
            (status, body), ("400 Bad Request", b"Request body is incomplete.\n")
        )
        self.assertEqual(self.layer.statistics()["messages_pending"], 0)


@override_settings(ROOT_URLCONF="channels_tests.urls", ALLOWED_HOSTS=["testserver"])
class ViewTests(WsgiTestCase):
    """Workers answer with views."""

    def setUp(self):
        super().setUp()
        workers = WorkerGroup(self.layer, n_threads=2)
        workers.start()
        self.addCleanup(workers.stop, TIMEOUT)

    def test_views_are_served(self):
        for path, method, body, expected in (
            ("/hello/", "GET", b"", b"hello"),
            ("/read/", "POST", b"x" * 5_000_000, b"5000000"),
            ("/streaming/", "GET", b"", b"0123456789"),
            ("/async-streaming/", "GET", b"", b"0123456789"),
            ("/file/", "GET", b"", b"0123456789" * 20_000),
            ("/file/", "HEAD", b"", b""),
            ("/hello/", "HEAD", b"", b""),
        ):
            with self.subTest(path=path):
                status, _, content = self.get(path, body, REQUEST_METHOD=method)
                self.assertEqual((status, content), ("200 OK", expected))

    def test_many_threads_are_served_at_once(self):
        responses = [self.in_thread("/hello/") for _ in range(20)]
        for response in responses:
            self.assertEqual(response()[2], b"hello")

    def test_a_client_that_goes_ends_an_endless_response(self):
        views.endless.closed = threading.Event()
        _, _, parts = self.call("/endless/")
        self.assertTrue(next(iter(parts)))
        parts.close()
        self.assertTrue(views.endless.closed.wait(TIMEOUT))

    def test_a_view_can_leave_the_answer_to_somebody_else(self):
        channel_layers.set("default", self.layer)
        self.addCleanup(channel_layers.set, "default", None)
        response = self.in_thread("/later/")
        name = self.layer.receive(["later"], block=True, timeout=TIMEOUT)[1]
        for reply in AsgiHandler.encode_response(HttpResponse("at last")):
            self.layer.send(name["reply_channel"], reply)
        self.assertEqual(response()[2], b"at last")


class ApplicationTests(SimpleTestCase):
    def test_the_default_layer_is_served(self):
        with default_layer(layer_class=SpanningLayer) as layer:
            self.assertIs(get_bus_application().layer, layer)

    def test_a_layer_of_one_process_is_refused(self):
        with default_layer():
            msg = "does not span processes: no worker could answer."
            with self.assertRaisesMessage(InvalidChannelLayerError, msg):
                get_bus_application()

    def test_an_unknown_status_has_a_reason(self):
        self.assertEqual(status_line(299), "299 Unknown Status Code")
