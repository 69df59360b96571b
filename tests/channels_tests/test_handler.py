import json
import threading
import time
from types import SimpleNamespace
from unittest import mock

from django.channels import Channel, Message, responses
from django.channels.exceptions import ChannelFull
from django.channels.handler import AsgiRequest, ViewConsumer
from django.channels.paths import UrlConf
from django.channels.worker import Worker
from django.core import signals
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory, SimpleTestCase, override_settings
from django.test.channel_layers import cites
from django.test.client import encode_multipart
from django.urls import get_script_prefix
from django.urls import path as url_path

from . import views
from .layers import make_layer
from .messages import assert_specified
from .utils import TIMEOUT, patch_for

BOUNDARY = "BoUnDaRyStRiNg"
MULTIPART = b"multipart/form-data; boundary=" + BOUNDARY.encode()


@override_settings(ROOT_URLCONF="channels_tests.urls", ALLOWED_HOSTS=["testserver"])
class HandlerTestCase(SimpleTestCase):
    def setUp(self):
        self.layer = make_layer(capacity=1000)
        self.reply_channel = self.layer.new_channel("r!")

    def message(self, path, method="GET", headers=(), **content):
        headers = [[b"host", b"testserver"], *headers]
        if (body := content.get("body")) and "body_channel" not in content:
            headers.append([b"content-length", str(len(body)).encode()])
        content = {
            "type": "http.request",
            "http_version": "1.1",
            "reply_channel": self.reply_channel,
            "method": method,
            "path": path,
            "headers": headers,
            "client": ["10.0.0.1", 1234],
            "server": ["10.0.0.2", 80],
            **content,
        }
        assert_specified(self, content)
        return Message(content, "http.request", self.layer)

    def replies(self):
        found = []
        while (reply := self.layer.receive(["r!"])[1]) is not None:
            assert_specified(self, reply, "http.response")
            found.append(reply)
        return found

    def get(self, path, *args, **kwargs):
        """Return (status, headers, body) of a view's response."""
        ViewConsumer()(self.message(path, *args, **kwargs))
        replies = self.replies()
        self.assertTrue(all(reply["more_content"] for reply in replies[:-1]))
        self.assertIs(replies[-1]["more_content"], False)
        content = b"".join(reply["content"] for reply in replies)
        return replies[0]["status"], replies[0]["headers"], content


class ViewTests(HandlerTestCase):
    def test_a_view_answers(self):
        status, headers, content = self.get("/hello/")
        self.assertEqual((status, content), (200, b"hello"))
        self.assertIn([b"Content-Type", b"text/html; charset=utf-8"], headers)

    def test_the_request_is_as_it_was_sent(self):
        _, _, content = self.get(
            "/app/echo/",
            query_string=b"a=1&a=%C3%A4",
            headers=[[b"cookie", b"x=1; y=2"], [b"x_forged", b"1"]],
            scheme="https",
            root_path="/app",
        )
        self.assertEqual(
            json.loads(content),
            {
                "method": "GET",
                "path": "/app/echo/",
                "path_info": "/echo/",
                "scheme": "https",
                "host": "testserver",
                "get": {"a": "ä"},
                "post": {},
                "cookies": {"x": "1", "y": "2"},
                "remote": "10.0.0.1",
                "files": {},
            },
        )

    def test_the_prefix_of_a_request_ends_with_it(self):
        before = get_script_prefix()
        self.get("/app/hello/", root_path="/app")
        self.assertEqual(get_script_prefix(), before)

    def test_a_form_is_posted(self):
        form = b"application/x-www-form-urlencoded"
        _, _, content = self.get(
            "/echo/", "POST", [[b"content-type", form]], body=b"a=1&b=%C3%A4"
        )
        self.assertEqual(json.loads(content)["post"], {"a": "1", "b": "ä"})

    def test_redirects_cookies_and_repeated_headers(self):
        status, headers, _ = self.get("/redirect/")
        self.assertEqual(status, 302)
        self.assertIn([b"Location", b"/hello/"], headers)
        _, headers, _ = self.get("/cookies/")
        cookies = [value for name, value in headers if name == b"Set-Cookie"]
        self.assertEqual(cookies, [b"a=1; HttpOnly; Path=/", rb'b="zw\366lf"; Path=/'])

    def test_an_async_view_answers(self):
        self.assertEqual(self.get("/async/")[::2], (200, b"async"))

    def test_the_answer_is_what_wsgi_gives(self):
        for path in ("/hello/", "/redirect/", "/cookies/", "/file/", "/missing/"):
            with self.subTest(path=path):
                environ = RequestFactory().get(path).environ
                started = []
                response = WSGIHandler()(environ, lambda *args: started.extend(args))
                expected = b"".join(response)
                response.close()
                status, headers, content = self.get(path)
                self.assertEqual(started[0].split()[0], str(status))
                headers = [(n.decode(), v.decode("latin1")) for n, v in headers]
                # Servers strip the space that WSGI has before a cookie.
                expected_headers = [(n, v.strip()) for n, v in started[1]]
                self.assertEqual(headers, expected_headers)
                self.assertEqual(content, expected)

    def test_head_has_the_headers_of_get(self):
        self.assertEqual(self.get("/file/", "HEAD")[:2], self.get("/file/")[:2])


class ErrorTests(HandlerTestCase):
    def test_a_missing_page_is_a_404(self):
        with self.assertLogs("django.request", "WARNING"):
            self.assertEqual(self.get("/missing/")[0], 404)

    @override_settings(DEBUG=True)
    def test_a_broken_view_shows_the_debug_page(self):
        with self.assertLogs("django.request", "ERROR"):
            status, _, content = self.get("/error/")
        self.assertEqual(status, 500)
        self.assertIn(b"This view is broken.", content)
        self.assertIn(b"Traceback", content)

    def test_a_broken_view_is_a_500(self):
        with self.assertLogs("django.request", "ERROR"):
            status, _, content = self.get("/error/")
        self.assertEqual(status, 500)
        self.assertNotIn(b"This view is broken.", content)

    def test_an_error_that_no_page_can_show_is_the_workers(self):
        calls = []

        def finished(**kwargs):
            calls.append("finished")

        signals.request_finished.connect(finished)
        self.addCleanup(signals.request_finished.disconnect, finished)
        with override_settings(ROOT_URLCONF="channels_tests.missing_urls"):
            with self.assertLogs("django.channels.worker", "ERROR"):
                Worker(self.layer).consume("http.request", self.message("/").content)
        reply = self.layer.receive(["r!"])[1]
        self.assertEqual(reply["status"], 500)
        self.assertEqual(reply["content"], b"Internal Server Error\n")
        self.assertEqual(calls, ["finished"])

    def test_a_foreign_host_is_a_400(self):
        message = self.message("/echo/")
        message.content["headers"] = [[b"host", b"evil.test"]]
        with self.assertLogs("django.security.DisallowedHost", "ERROR"):
            ViewConsumer()(message)
        self.assertEqual(self.replies()[0]["status"], 400)

    def test_a_query_string_that_is_no_text_is_a_400(self):
        with self.assertLogs("django.request", "WARNING"):
            self.assertEqual(self.get("/echo/", query_string=b"\xff")[0], 400)


class BodyTests(HandlerTestCase):
    def send_body(self, *parts, closed=False):
        """Return the name of a channel that the rest of a body is on."""
        channel = self.layer.new_channel("http.request.body?")
        for number, part in enumerate(parts, 1):
            more = number < len(parts) or closed
            content = {"type": "http.request.body", "content": part}
            self.layer.send(channel, {**content, "more_content": more})
        if closed:
            self.layer.send(channel, {"type": "http.request.body", "closed": True})
        return channel

    def test_a_body_in_chunks_is_put_together(self):
        channel = self.send_body(b"b" * 10, b"c")
        _, _, content = self.get(
            "/body/",
            "POST",
            [[b"content-length", b"12"]],
            body_channel=channel,
            body=b"a",
        )
        self.assertEqual(content, b"a" + b"b" * 10 + b"c")

    @cites("HTTP-5", "at least once for every 16")
    def test_credit_is_given_while_a_body_is_read(self):
        channel = self.send_body(*[b"x"] * 40)
        ViewConsumer()(self.message("/read/", "POST", body_channel=channel))
        credits = []
        while (reply := self.layer.receive(["r!"])[1])["type"] != "http.response":
            assert_specified(self, reply)
            credits.append(reply["chunks"])
        self.assertEqual(credits, [16, 16])
        self.assertEqual(reply["content"], b"40")

    def test_a_body_that_does_not_come_is_a_408(self):
        patch_for(self, AsgiRequest, "body_receive_timeout", 0.01)
        channel = self.layer.new_channel("http.request.body?")
        with self.assertLogs("django.request", "WARNING"):
            status = self.get("/body/", "POST", body_channel=channel)[0]
        self.assertEqual(status, 408)

    def test_a_client_that_leaves_within_a_body_gets_nothing(self):
        finished = []
        signals.request_finished.connect(finished.append)
        self.addCleanup(signals.request_finished.disconnect, finished.append)
        channel = self.send_body(b"x", closed=True)
        ViewConsumer()(self.message("/body/", "POST", body_channel=channel))
        self.assertEqual(self.replies(), [])

    @override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=10)
    def test_a_body_above_djangos_own_limit_is_a_400(self):
        with self.assertLogs("django.security.RequestDataTooBig", "ERROR"):
            self.assertEqual(self.get("/body/", "POST", body=b"x" * 11)[0], 400)

    def upload(self, size):
        from django.core.files.uploadedfile import SimpleUploadedFile

        file = SimpleUploadedFile("digits.txt", b"7" * size)
        body = encode_multipart(BOUNDARY, {"file": file})
        headers = [[b"content-type", MULTIPART]]
        _, _, content = self.get("/echo/", "POST", headers, body=body)
        return json.loads(content)["files"]["file"]

    @override_settings(FILE_UPLOAD_MAX_MEMORY_SIZE=1000)
    def test_uploads_are_spooled_to_disk_above_djangos_limit(self):
        self.assertEqual(self.upload(100), ["digits.txt", 100, "InMemoryUploadedFile"])
        self.assertEqual(
            self.upload(5000), ["digits.txt", 5000, "TemporaryUploadedFile"]
        )


class StreamingTests(HandlerTestCase):
    def test_a_streaming_response_comes_part_by_part(self):
        for path in ("/streaming/", "/async-streaming/"):
            with self.subTest(path=path):
                ViewConsumer()(self.message(path))
                replies = self.replies()
                self.assertEqual(
                    [reply["content"] for reply in replies],
                    [str(number).encode() for number in range(10)] + [b""],
                )
                self.assertNotIn("status", replies[1])

    def consume(self, view):
        with override_settings(ROOT_URLCONF=UrlConf([url_path("news/", view)])):
            message = self.message("/news/")
            Worker(self.layer).consume("http.request", message.content)

    def news(self):
        return self.layer.statistics("news")["messages_pending"]

    def send_news(self):
        Channel("news", channel_layer=self.layer).send({})

    def test_what_a_view_sent_leaves_before_its_response_is_streamed(self):
        """So does what the parts send: an endless stream has no end to wait for."""
        seen = []

        def parts():
            for _ in range(2):
                seen.append(self.news())
                self.send_news()
                yield b"part"
            seen.append(self.news())

        def view(request):
            self.send_news()
            seen.append(self.news())
            return StreamingHttpResponse(parts())

        self.consume(view)
        self.assertEqual(seen, [0, 1, 2, 3])
        self.assertEqual(self.news(), 3)
        self.assertIs(self.replies()[-1]["more_content"], False)

    def test_what_a_view_sent_does_not_wait_for_slow_readers(self):
        def view(request):
            self.send_news()
            return HttpResponse(b"x" * 200_000)

        def send(flow, reply):
            seen.append(self.news())

        seen = []
        with mock.patch.object(responses.ResponseFlow, "send", send):
            self.consume(view)
        self.assertEqual(seen, [1, 1, 1, 1])

    def test_a_file_comes_in_chunks(self):
        ViewConsumer()(self.message("/file/"))
        sizes = [len(reply["content"]) for reply in self.replies()]
        self.assertEqual(sum(sizes), 200_000)
        self.assertEqual(max(sizes), 64 * 1024)

    @cites("HTTP-9", "The consumer sends no more than 64 messages ahead of it")
    def test_a_response_waits_for_its_client_and_ends_when_that_goes(self):
        views.endless.closed = threading.Event()
        consumer = threading.Thread(
            target=ViewConsumer(), args=(self.message("/endless/"),), daemon=True
        )
        consumer.start()

        def receive():
            return self.layer.receive(["r!"], block=True, timeout=TIMEOUT)[1]

        credit_channel = receive()["credit_channel"]
        for _ in range(responses.RESPONSE_WINDOW - 1):
            self.assertIsNotNone(receive())
        self.assertEqual(self.replies(), [])
        self.layer.send(credit_channel, {"type": "http.response.credit", "chunks": 2})
        for _ in range(2):
            self.assertIsNotNone(receive())
        self.layer.send(
            credit_channel, {"type": "http.response.credit", "closed": True}
        )
        self.assertTrue(views.endless.closed.wait(TIMEOUT))
        consumer.join(TIMEOUT)
        self.assertIs(consumer.is_alive(), False)
        self.assertEqual(self.replies(), [])

    @cites("HTTP-14", "The consumer ends the response then")
    def test_a_client_that_goes_ends_the_wait_for_a_part(self):
        views.patient.closed = threading.Event()
        consumer = threading.Thread(
            target=ViewConsumer(), args=(self.message("/patient/"),), daemon=True
        )
        consumer.start()
        first = self.layer.receive(["r!"], block=True, timeout=TIMEOUT)[1]
        self.assertEqual(first["content"], b"first")
        closed = {"type": "http.response.credit", "closed": True}
        self.layer.send(first["credit_channel"], closed)
        self.assertTrue(views.patient.closed.wait(TIMEOUT))
        consumer.join(TIMEOUT)
        self.assertIs(consumer.is_alive(), False)
        self.assertEqual(self.replies(), [])

    def test_credit_that_came_too_late_is_dropped(self):
        message = self.message("/streaming/")
        flow = responses.ResponseFlow(message)
        flow.send({"status": 200, "content": b"", "more_content": True})
        name = self.replies()[0]["credit_channel"]
        self.layer.send(name, {"type": "http.response.credit", "chunks": 1})
        flow.close()
        self.assertEqual(self.layer.statistics()["messages_pending"], 0)

    def test_a_client_that_reads_nothing_ends_the_response(self):
        patch_for(self, responses, "CREDIT_SECONDS", 0.01)
        views.endless.closed = threading.Event()
        ViewConsumer()(self.message("/endless/"))
        self.assertTrue(views.endless.closed.is_set())

    def test_a_full_reply_channel_is_tried_again(self):
        refusals, pauses = [ChannelFull() for _ in range(5)], []
        message = self.message("/hello/")
        send = message.reply_channel.send

        def full(content, **kwargs):
            if refusals:
                raise refusals.pop()
            send(content, **kwargs)

        patch_for(self, message.reply_channel, "send", full)
        # Not the module's own, by which other threads sleep.
        clock = SimpleNamespace(sleep=pauses.append, monotonic=time.monotonic)
        patch_for(self, responses, "time", clock)
        ViewConsumer()(message)
        self.assertEqual(pauses, [0.002, 0.004, 0.008, 0.016, 0.02])
        self.assertEqual(self.replies()[0]["content"], b"hello")


class SignalTests(HandlerTestCase):
    def test_each_request_is_started_and_finished_once(self):
        for path in ("/hello/", "/streaming/", "/error/"):
            with self.subTest(path=path):
                calls = []

                def started(sender, **kwargs):
                    calls.append("started")

                def finished(sender, **kwargs):
                    calls.append("finished")

                signals.request_started.connect(started)
                signals.request_finished.connect(finished)
                try:
                    ViewConsumer()(self.message(path))
                finally:
                    signals.request_started.disconnect(started)
                    signals.request_finished.disconnect(finished)
                self.assertEqual(calls, ["started", "finished"])
