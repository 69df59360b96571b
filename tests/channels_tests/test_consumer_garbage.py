"""What is left of messages, when they are consumed, for the garbage collector."""

import asyncio

from django.channels import route
from django.channels.asgi import InProcessApplication
from django.channels.auth import channel_session_user, channel_session_user_from_http
from django.channels.exceptions import DenyConnection
from django.channels.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
)
from django.channels.handler import ViewConsumer
from django.channels.routing import path
from django.channels.worker import Worker
from django.http import HttpResponse, StreamingHttpResponse
from django.test import SimpleTestCase, override_settings
from django.urls import path as url

from .connections import HttpClient, WebSocketClient
from .garbage import GarbageTestMixin
from .layers import layer_settings
from .test_wsgi import WsgiTestCase
from .utils import TIMEOUT


class Echo(WebsocketConsumer):
    def receive(self, text=None, bytes=None, **kwargs):
        self.send(text=text)


class AsyncEcho(WebsocketConsumer):
    async def receive(self, text=None, bytes=None, **kwargs):
        self.send(text=text)


class Failing(WebsocketConsumer):
    def receive(self, text=None, bytes=None, **kwargs):
        self.message.reply_channel.send({"text": text}, immediately=True)
        raise ValueError(text)


class AsyncFailing(WebsocketConsumer):
    async def receive(self, text=None, bytes=None, **kwargs):
        await self.message.reply_channel.asend({"text": text}, immediately=True)
        raise ValueError(text)


class Ordered(WebsocketConsumer):
    strict_ordering = True

    def receive(self, text=None, bytes=None, **kwargs):
        self.send(text=text)


class Named(WebsocketConsumer):
    http_user_and_session = True

    def receive(self, text=None, bytes=None, **kwargs):
        self.send(text=str(self.message.user))


class Stream(JsonWebsocketConsumer):
    def receive(self, content, multiplexer, **kwargs):
        multiplexer.send(content)


class Streams(WebsocketDemultiplexer):
    consumers = {"one": Stream}


@channel_session_user_from_http
async def connect_user(message):
    await message.reply_channel.asend({"accept": True})


@channel_session_user
async def name_user(message):
    await message.reply_channel.asend({"text": str(message.user)})


def deny(message):
    raise DenyConnection("Nobody may.")


ROUTING = [
    path("echo/", Echo),
    path("async-echo/", AsyncEcho),
    path("failing/", Failing),
    path("async-failing/", AsyncFailing),
    path("ordered/", Ordered),
    path("named/", Named),
    path("streams/", Streams),
    route("websocket.connect", connect_user, path=r"^/user/"),
    route("websocket.receive", name_user, path=r"^/user/"),
    route("websocket.connect", deny, path=r"^/denied/"),
]


def answer(request):
    return HttpResponse(request.read())


async def aanswer(request):
    return HttpResponse(request.read())


def stream(request):
    return StreamingHttpResponse(iter([b"a", b"b"]))


async def astream(request):
    async def parts():
        yield b"a"
        yield b"b"

    return StreamingHttpResponse(parts())


urlpatterns = [
    url("answer/", answer),
    url("async-answer/", aanswer),
    url("stream/", stream),
    url("async-stream/", astream),
]
VIEWS = ("/answer/", "/async-answer/", "/stream/", "/async-stream/")


# Sessions need no database, and a request that middleware has given a user is in a
# cycle of its own.
@override_settings(
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[],
    ALLOWED_HOSTS=["testserver"],
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
)
class InProcessGarbageTests(GarbageTestMixin, SimpleTestCase):
    def setUp(self):
        settings = layer_settings()
        settings["default"]["ROUTING"] = ROUTING
        overridden = override_settings(CHANNEL_LAYERS=settings)
        overridden.enable()
        self.addCleanup(overridden.disable)
        self.application = InProcessApplication()
        self.addCleanup(self.application.stop, TIMEOUT)

    async def consumed(self):
        """Wait until no consumer runs."""
        while self.application._lanes._lanes_busy:
            await asyncio.sleep(0)

    async def talk(self, path, text):
        client = WebSocketClient(self.application, path)
        if (await client.connect())["type"] == "websocket.accept":
            await client.put("websocket.receive", text=text)
            await client.get()
            await client.disconnect()
        await client.ended()
        await self.consumed()

    async def ask(self, path):
        headers = [(b"host", b"testserver")]
        client = HttpClient(self.application, path, headers=headers)
        self.assertEqual((await client.request())[0], 200)
        await self.consumed()

    def test_the_messages_of_sockets_are_freed(self):
        for place in (
            "/echo/",
            "/async-echo/",
            "/ordered/",
            "/named/",
            "/user/",
            "/denied/",
        ):
            with self.subTest(path=place):
                self.assertFreed(self.talk, place, "a")

    def test_those_of_streams_are_freed(self):
        text = '{"stream": "one", "payload": 1}'
        self.assertFreed(self.talk, "/streams/", text)

    def test_those_whose_consumers_fail_are_freed(self):
        for place in ("/failing/", "/async-failing/"):
            with self.subTest(path=place):
                with self.assertLogs("django.channels.worker", "ERROR"):
                    self.assertFreed(self.talk, place, "a")

    def test_requests_are_freed(self):
        for place in VIEWS:
            with self.subTest(path=place):
                self.assertFreed(self.ask, place)


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[], ALLOWED_HOSTS=["testserver"])
class WsgiGarbageTests(GarbageTestMixin, WsgiTestCase):
    def setUp(self):
        super().setUp()
        self.layer.routing = [route("http.request", ViewConsumer())]
        self.worker = Worker(self.layer)

    def ask(self, path, body=b""):
        response = self.in_thread(path, body)
        self.worker.consume("http.request", self.next_message())
        self.assertEqual(response()[0], "200 OK")

    def test_requests_are_freed(self):
        for place in VIEWS:
            with self.subTest(path=place):
                self.assertFreed(self.ask, place)

    def test_a_large_body_is_freed(self):
        self.assertFreed(self.ask, "/answer/", b"x" * 200_000)

    def test_what_nobody_answers_is_freed(self):
        def wait():
            self.get()
            self.next_message("http.request")
            self.next_message("http.disconnect")

        self.limit(HTTP_RESPONSE_SECONDS=0.01)
        self.assertFreed(wait)
