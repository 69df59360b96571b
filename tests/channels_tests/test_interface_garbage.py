"""What is left of connections, when they are over, for the garbage collector."""

import asyncio
import sys
from contextlib import suppress
from unittest import mock

from django.channels import freezing
from django.channels.exceptions import LayerUnavailable
from django.channels.interface.application import Application
from django.channels.interface.dispatch import LayerDispatcher
from django.test import SimpleTestCase

from .connections import HttpClient, WebSocketClient
from .garbage import GarbageTestMixin
from .layers import SpanningLayer, make_layer
from .test_interface_http import HttpTestCase
from .utils import patch_for

# More than goes into the request.
LARGE = b"x" * 70_000


class AwayLayer(SpanningLayer):
    """A layer that cannot be reached."""

    async def asend_batch(self, messages):
        raise LayerUnavailable("away")


async def fill(layer, channel):
    """Fill a channel."""
    for _ in range(layer.get_capacity(channel)):
        await layer.asend(channel, {})


class ConnectionGarbageTestCase(GarbageTestMixin, HttpTestCase):
    """
    Nothing: a connection is freed when it is over.

    What is in a cycle stays until all objects of the process are looked at, which
    every connection of a busy server would have to wait for.
    """

    async def cancel(self, client):
        client.future.cancel()
        with suppress(asyncio.CancelledError):
            await client.future


class RequestGarbageTests(ConnectionGarbageTestCase):
    async def ask(self, body=b"", more_body=False, **limits):
        """Return a client with a request, and the message of it."""
        client = self.make_client(limits=limits)
        await client.put("http.request", body=body, more_body=more_body)
        return client, await self.next_message()

    async def answer_late(self, client, message):
        """Answer who is gone, so that its reply channel is closed."""
        await self.reply(message, status=200)
        await self.closed(client)
        # What told that it is gone.
        self.layer.flush()

    async def answer(self):
        client, message = await self.ask()
        await self.reply(message, status=200, content=b"ok")
        await client.response()

    async def answer_in_parts(self):
        client, message = await self.ask(LARGE)
        credit = {"credit_channel": "http.response.credit?a", "more_content": True}
        await self.reply(message, status=200, **credit)
        await self.reply(message, content=b"ok")
        await client.response()

    async def answer_wrongly(self):
        client, message = await self.ask()
        await self.reply(message, status=9)
        with self.assertLogs("django.channels.interface", "ERROR"):
            await client.response()
        self.layer.flush()

    async def leave(self):
        client, message = await self.ask()
        await client.put("http.disconnect")
        await client.ended()
        await self.answer_late(client, message)

    async def leave_in_the_body(self):
        client, message = await self.ask(LARGE, more_body=True)
        await client.put("http.disconnect")
        await client.ended()
        await self.answer_late(client, message)

    async def leave_before_the_request(self):
        client = self.make_client()
        await client.put("http.request", body=b"x", more_body=True)
        await client.put("http.disconnect")
        await client.ended()

    async def be_cancelled(self):
        if sys.version_info < (3, 11):
            self.skipTest("Python 3.10 keeps what was cancelled in a cycle.")
        client, message = await self.ask()
        await self.cancel(client)
        await self.answer_late(client, message)

    async def send_too_much(self):
        client, message = await self.ask(LARGE, True, HTTP_BODY_BYTES=80_000)
        await client.put("http.request", body=LARGE, more_body=True)
        await client.response()
        await self.answer_late(client, message)

    async def wait_too_long(self):
        client, message = await self.ask(HTTP_RESPONSE_SECONDS=0.01)
        await client.response()
        await self.answer_late(client, message)

    async def find_no_room(self):
        await fill(self.layer, "http.request")
        client = self.make_client(limits={"HTTP_QUEUE_SECONDS": 0.001})
        await client.request()
        self.layer.flush()

    def test_a_request_is_freed(self):
        ways = (
            self.answer,
            self.answer_in_parts,
            self.answer_wrongly,
            self.leave,
            self.leave_in_the_body,
            self.leave_before_the_request,
            self.be_cancelled,
            self.send_too_much,
            self.wait_too_long,
            self.find_no_room,
        )
        for way in ways:
            with self.subTest(way=way.__name__):
                self.assertFreed(way)


class SocketGarbageTests(ConnectionGarbageTestCase):
    async def connect(self, **limits):
        """Return a client with a socket that is open, and the message of it."""
        client = WebSocketClient(self.make_client(limits=limits).application)
        await client.put("websocket.connect")
        message = await self.next_message("websocket.connect")
        await self.reply(message, accept=True)
        await client.get()
        await client.put("websocket.receive", text="hello")
        await self.next_message("websocket.receive")
        return client, message

    async def disconnect(self):
        client, message = await self.connect()
        await client.disconnect()
        await self.next_message("websocket.disconnect")

    async def be_closed(self):
        client, message = await self.connect()
        await self.reply(message, close=True)
        await client.get()
        await client.disconnect()
        await self.next_message("websocket.disconnect")

    async def send_too_much(self):
        client, message = await self.connect(WEBSOCKET_MESSAGE_BYTES=10)
        await client.put("websocket.receive", text="x" * 11)
        await client.get()
        await client.disconnect()
        await self.next_message("websocket.disconnect")

    async def be_cancelled(self):
        if sys.version_info < (3, 11):
            self.skipTest("Python 3.10 keeps what was cancelled in a cycle.")
        client, message = await self.connect()
        await self.cancel(client)
        await self.next_message("websocket.disconnect")

    async def keep_order(self):
        client = WebSocketClient(self.make_client().application)
        await client.put("websocket.connect")
        message = await self.next_message("websocket.connect")
        await self.reply(message, type="websocket.ordered")
        await self.reply(message, accept=True)
        await client.get()
        for text in ("one", "two"):
            await client.put("websocket.receive", text=text)
        await client.put("websocket.disconnect", code=1000)
        for order in range(3):
            await self.reply(message, type="websocket.consumed", order=order)
            await self.next_message("websocket.receive", "websocket.disconnect")
        await client.ended()

    async def be_refused(self):
        client = WebSocketClient(
            self.make_client().application, headers=[(b"origin", b"http://foreign")]
        )
        await client.connect()
        await client.ended()

    async def find_no_room(self):
        await fill(self.layer, "websocket.connect")
        limits = {"WEBSOCKET_QUEUE_SECONDS": 0.001}
        client = WebSocketClient(self.make_client(limits=limits).application)
        await client.connect()
        await client.ended()
        self.layer.flush()

    async def be_gone(self):
        application = self.make_client().application

        async def with_send(scope, receive, send):
            async def send_or_fail(event):
                if event["type"] == "websocket.send":
                    raise OSError("gone")
                await send(event)

            await application(scope, receive, send_or_fail)

        client = WebSocketClient(with_send)
        await client.put("websocket.connect")
        message = await self.next_message("websocket.connect")
        await self.reply(message, accept=True)
        await client.get()
        await self.reply(message, text="hello")
        await client.disconnect()
        await self.next_message("websocket.disconnect")

    def test_a_socket_is_freed(self):
        ways = (
            self.disconnect,
            self.be_closed,
            self.send_too_much,
            self.be_cancelled,
            self.be_gone,
            self.keep_order,
            self.be_refused,
            self.find_no_room,
        )
        for way in ways:
            with self.subTest(way=way.__name__):
                self.assertFreed(way)


class FreezeTests(SimpleTestCase):
    def setUp(self):
        patch_for(self, freezing, "_pid", None)
        self.gc = mock.Mock()
        patch_for(self, freezing, "gc", self.gc)

    def test_what_is_there_at_the_start_is_frozen_once(self):
        for _ in range(2):
            freezing.freeze_start()
        self.assertEqual(self.gc.mock_calls, [mock.call.collect(), mock.call.freeze()])

    def test_a_forked_process_freezes_by_itself(self):
        freezing.freeze_start()
        with mock.patch.object(freezing.os, "getpid", return_value=-1):
            freezing.freeze_start()
        self.assertEqual(self.gc.freeze.call_count, 2)


class AwayGarbageTests(GarbageTestMixin, SimpleTestCase):
    def test_what_a_layer_that_is_away_refuses_is_freed(self):
        layer = make_layer(layer_class=AwayLayer)
        self.addCleanup(layer.close)

        async def ask():
            client = HttpClient(Application(layer, LayerDispatcher(layer)))
            self.assertEqual((await client.request())[0], 503)

        self.assertFreed(ask)
