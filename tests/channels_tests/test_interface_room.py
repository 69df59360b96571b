"""What sockets do while a channel has no room for their messages."""

import asyncio

from django.channels.limits import get_limits
from django.test.channel_layers import cites

from .layers import SpanningLayer, make_layer
from .test_interface_websocket import WebSocketTestCase
from .utils import TIMEOUT

# Room comes in time, however slow the test is.
PATIENT = {"WEBSOCKET_QUEUE_SECONDS": TIMEOUT}


class RoomTests(WebSocketTestCase):
    """A layer whose channels hold two messages of sockets."""

    def setUp(self):
        capacity = {"websocket.connect": 2, "websocket.receive": 2}
        self.layer = make_layer(layer_class=SpanningLayer, channel_capacity=capacity)
        self.addCleanup(self.layer.close)

    async def fill(self, channel):
        for _ in range(2):
            await self.layer.asend(channel, {"path": "/other/"})

    async def refused(self, channel):
        """Wait until a message found no room."""
        while not self.layer.statistics(channel)["channel_full_count"]:
            await asyncio.sleep(0)

    @cites("WS-9", "stays full for the server's time limit, 0.5 seconds by default")
    async def test_a_handshake_waits_for_room(self):
        self.assertEqual(get_limits()["WEBSOCKET_QUEUE_SECONDS"], 0.5)
        await self.fill("websocket.connect")
        client = self.make_client(limits=PATIENT)
        await client.put("websocket.connect")
        await self.refused("websocket.connect")
        await self.layer.areceive(["websocket.connect"])
        await self.layer.areceive(["websocket.connect"])
        connect = await self.next_message("websocket.connect")
        await self.reply(connect, accept=True)
        self.assertEqual(await client.get(), {"type": "websocket.accept"})
        await client.disconnect()
        await self.assertDisconnected(order=1)

    @cites("WS-10", "has no room for the server's time limit, 0.5 seconds by default")
    async def test_a_burst_of_messages_closes_no_socket(self):
        clients = [await self.open(limits=PATIENT) for _ in range(8)]
        for client, connect in clients:
            for text in "ab":
                await client.put("websocket.receive", text=text)
        await self.refused("websocket.receive")
        texts = {}
        for _ in range(16):
            message = await self.next_message("websocket.receive")
            texts.setdefault(message["reply_channel"], []).append(message["text"])
        self.assertEqual(
            texts, {connect["reply_channel"]: ["a", "b"] for _, connect in clients}
        )
        for client, _ in clients:
            await client.disconnect()
            await self.assertDisconnected(order=3)

    @cites("WS-3", "one more for each message after it")
    async def test_a_message_that_still_waits_when_the_socket_is_cut_has_no_number(
        self,
    ):
        client, _ = await self.open(limits=PATIENT)
        await self.fill("websocket.receive")
        await client.put("websocket.receive", text="late")
        await self.refused("websocket.receive")
        client.future.cancel()
        await asyncio.wait([client.future])
        for _ in range(2):
            await self.layer.areceive(["websocket.receive"])
        await self.assertDisconnected(order=1)

    async def test_a_handshake_that_is_cut_while_it_waits_has_no_end_either(self):
        await self.fill("websocket.connect")
        client = self.make_client(limits=PATIENT)
        await client.put("websocket.connect")
        await self.refused("websocket.connect")
        client.future.cancel()
        await asyncio.wait([client.future])
        self.assertEqual(self.layer.statistics()["messages_pending"], 2)


class BurstTests(WebSocketTestCase):
    async def test_a_burst_of_replies_is_written_as_it_is_read(self):
        """More come at once than may wait, but the client reads them."""
        self.layer = make_layer(layer_class=SpanningLayer, capacity=5000)
        client, connect = await self.open()
        texts = [str(number) for number in range(2500)]
        replies = [(connect["reply_channel"], {"text": text}) for text in texts]
        await self.layer.asend_batch(replies)
        for text in texts:
            self.assertEqual(
                await client.get(), {"type": "websocket.send", "text": text}
            )
        await client.disconnect()
        await self.assertDisconnected(order=1)
