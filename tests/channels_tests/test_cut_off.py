"""Responses that end before they are complete, and what is left of them."""

import os
import signal
from pathlib import Path

from django.channels import route
from django.channels.handler import ViewConsumer
from django.channels.worker import Worker
from django.http import StreamingHttpResponse
from django.test import SimpleTestCase, override_settings
from django.test.channel_layers import cites
from django.urls import path

from .layers import make_layer
from .messages import assert_specified
from .utils import TIMEOUT
from .workers import WorkersTestCase

URLS = """
import os
from django.channels import channel_layers
from django.http import StreamingHttpResponse
from django.urls import path


def stream(request):
    def parts():
        yield str(os.getpid())
        channel_layers["default"].receive(["answers"], block=True, timeout=60)

    return StreamingHttpResponse(parts())


urlpatterns = [path("", stream)]
"""


def fail(request):
    def parts():
        yield b"one"
        raise ValueError("two")

    return StreamingHttpResponse(parts())


urlpatterns = [path("", fail)]


def request_message(reply_channel):
    return {
        "type": "http.request",
        "reply_channel": reply_channel,
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "headers": [[b"host", b"localhost"]],
    }


@override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost"], MIDDLEWARE=[])
class FailingTests(SimpleTestCase):
    def test_a_stream_that_fails_says_so(self):
        layer = make_layer([route("http.request", ViewConsumer())])
        self.addCleanup(layer.close)
        name = layer.new_channel("r!")
        with self.assertLogs("django.channels.worker", "ERROR"):
            Worker(layer).consume("http.request", request_message(name))
        replies = [reply for _, reply in layer.receive_batch(["r!"], 10)]
        for reply in replies:
            assert_specified(self, reply, "http.response")
        self.assertEqual([reply.get("status") for reply in replies], [200, 500])
        self.assertEqual(replies[0]["content"], b"one")


class KilledTests(WorkersTestCase):
    @cites("HTTP-16", "or its worker process died")
    def test_a_stream_whose_worker_is_killed_is_cut_off(self):
        package = Path(self.routing).parent
        (package / "urls.py").write_text(URLS)
        process = self.start()
        name = self.layer.new_channel("r!")
        self.send("http.request", request_message(name))
        first = self.reply()
        self.assertEqual((first["status"], first["more_content"]), (200, True))
        os.kill(int(first["content"]), signal.SIGKILL)
        self.assertEqual(self.reply()["status"], 500)
        self.assertEnds(process)

    def reply(self):
        _, reply = self.layer.receive(["r!"], block=True, timeout=TIMEOUT)
        assert_specified(self, reply, "http.response")
        return reply
