"""What is left of connections, when they are over, for the garbage collector."""

import gc

from asgiref.sync import async_to_sync

from django.channels.interface.http import HttpConnection
from django.channels.interface.incoming import Incoming
from django.channels.interface.websocket import WebSocketConnection

from .connections import WebSocketClient
from .test_interface_http import HttpTestCase

KINDS = (HttpConnection, Incoming, WebSocketConnection)


class GarbageTests(HttpTestCase):
    """
    Nothing: a connection is freed when it is over.

    What is in a cycle stays until all objects of the process are looked at, which
    every connection of a busy server would have to wait for.
    """

    def count_left(self, coroutine_function):
        """Return how many connections are alive after one, uncollected."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        before = self.count()
        async_to_sync(coroutine_function)()
        return self.count() - before

    def count(self):
        return sum(isinstance(one, KINDS) for one in gc.get_objects())

    async def answer_a_request(self):
        client = self.make_client()
        await client.put("http.request", body=b"", more_body=False)
        await self.reply(await self.next_message(), status=200, content=b"ok")
        await client.response()

    async def serve_a_socket(self):
        client = WebSocketClient(self.make_client().application)
        await client.put("websocket.connect")
        message = await self.next_message("websocket.connect")
        await self.reply(message, accept=True)
        await client.get()
        await client.put("websocket.receive", text="hello")
        await self.next_message("websocket.receive")
        await client.disconnect()
        await self.next_message("websocket.disconnect")

    def test_a_request_is_freed(self):
        self.assertEqual(self.count_left(self.answer_a_request), 0)

    def test_a_socket_is_freed(self):
        self.assertEqual(self.count_left(self.serve_a_socket), 0)
