"""Responses that end before they are complete, or begin, and what is left of them."""

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
from django.channels import Channel, channel_layers
from django.channels.exceptions import ResponseLater
from django.http import StreamingHttpResponse
from django.urls import path


def wait():
    channel_layers["default"].receive(["answers"], block=True, timeout=60)


def stream(request):
    def parts():
        yield str(os.getpid())
        wait()

    return StreamingHttpResponse(parts())


def never(request):
    Channel("results").send({"pid": os.getpid()}, immediately=True)
    wait()


def later(request):
    Channel("results").send({"later": True})
    raise ResponseLater


urlpatterns = [path("", stream), path("never", never), path("later", later)]
"""


def fail(request):
    def parts():
        yield b"one"
        raise ValueError("two")

    return StreamingHttpResponse(parts())


urlpatterns = [path("", fail)]


def request_message(reply_channel, path="/"):
    return {
        "type": "http.request",
        "reply_channel": reply_channel,
        "http_version": "1.1",
        "method": "GET",
        "path": path,
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
    def setUp(self):
        super().setUp()
        (Path(self.routing).parent / "urls.py").write_text(URLS)
        # One request after the other.
        self.process = self.start("--threads=1")

    @cites("HTTP-16", "or its worker process died")
    def test_a_stream_whose_worker_is_killed_is_cut_off(self):
        name = self.request("/")
        _, first = self.reply()
        self.assertEqual((first["status"], first["more_content"]), (200, True))
        os.kill(int(first["content"]), signal.SIGKILL)
        channel, reply = self.reply()
        self.assertEqual(channel, name)
        self.assertIn("status", reply)
        self.assertEnds(self.process)

    @cites("HTTP-17", "with status 503 to the reply channel")
    def test_a_request_whose_worker_is_killed_is_answered(self):
        # That others answer it is none of a dead process's business.
        self.request("/later")
        self.assertEqual(self.result(), {"later": True})
        name = self.request("/never")
        os.kill(self.result()["pid"], signal.SIGKILL)
        channel, reply = self.reply()
        self.assertEqual((channel, reply["status"]), (name, 503))
        self.assertIn(b"worker process ended", reply["content"])
        self.assertEnds(self.process)
        self.assertEqual(self.layer.receive(["r!"]), (None, None))

    def request(self, path):
        name = self.layer.new_channel("r!")
        self.send("http.request", request_message(name, path))
        return name

    def reply(self):
        channel, reply = self.layer.receive(["r!"], block=True, timeout=TIMEOUT)
        assert_specified(self, reply, "http.response")
        return channel, reply
