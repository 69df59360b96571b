"""However a socket ends, its consumers hear of it once."""

import asyncio
import os
from unittest import mock

from django.channels.exceptions import LayerUnavailable
from django.channels.interface import websocket
from django.channels.interface.application import Application
from django.channels.interface.dispatch import LayerDispatcher
from django.test.channel_layers import cites

from .layers import SpanningLayer, make_layer
from .test_interface_websocket import NAMES, WebSocketTestCase
from .utils import TIMEOUT, patch_for


class SlowLayer(SpanningLayer):
    """A layer whose sends wait before and after they happen; it notes them."""

    def __init__(self, **options):
        super().__init__(**options)
        self.sent = []

    async def asend(self, channel, message):
        await asyncio.sleep(0)
        await super().asend(channel, message)
        self.sent.append((channel, message))
        await asyncio.sleep(0)

    async def asend_batch(self, messages):
        await asyncio.sleep(0)
        results = await super().asend_batch(messages)
        self.sent += messages
        await asyncio.sleep(0)
        return results

    async def aclose_channel(self, name):
        await asyncio.sleep(0)
        await super().aclose_channel(name)


def other_tasks():
    """Return the tasks of the loop, but for this one and those that read replies."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return [t for t in tasks if t.get_coro().__name__ != "_read_on_loop"]


def get_connection(application):
    """Return the only connection of an application."""
    (incoming,) = application.open_sockets
    return incoming._get_refuse().__self__


class CancelledSocket:
    """A socket that is used as far as possible in a number of loop turns."""

    def __init__(self):
        self.layer = make_layer(layer_class=SlowLayer)
        self.application = Application(self.layer, LayerDispatcher(self.layer))
        self.events = asyncio.Queue()
        self.events.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": "/", "headers": []}
        self.task = asyncio.ensure_future(
            self.application(scope, self.events.get, self.send)
        )

    async def send(self, event):
        await asyncio.sleep(0)
        if event["type"] == "websocket.accept":
            self.events.put_nowait({"type": "websocket.receive", "text": "a"})
            self.events.put_nowait({"type": "websocket.disconnect"})

    async def use(self, turns):
        """Return whether it ended by itself."""
        accepted = False
        for _ in range(turns):
            if not accepted and self.application.open_sockets:
                accepted = True
                get_connection(self.application)._deliver({"accept": True})
            await asyncio.sleep(0)
        return self.task.done()

    async def cancel(self, times):
        for _ in range(times):
            self.task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([self.task], timeout=TIMEOUT)


class CancellationTests(WebSocketTestCase):
    @cites("WS-2", "Exactly one websocket.disconnect")
    @cites("WS-3", "and one more for each message after it")
    async def test_wherever_it_is_cancelled(self):
        for times in 1, 2, 3:
            turns, ended = 0, False
            while not ended:
                with self.subTest(turns=turns, times=times):
                    socket = CancelledSocket()
                    ended = await socket.use(turns)
                    await socket.cancel(times)
                    self.assertInOrder(socket.layer.sent)
                    self.assertEqual(socket.application.open_sockets, set())
                    self.assertEqual(socket.application.replies._open, {})
                    self.assertEqual(other_tasks(), [])
                turns += 1
                self.assertLess(turns, 100)

    def assertInOrder(self, sent):
        orders = [message["order"] for _, message in sent]
        self.assertEqual(orders, list(range(len(orders))))
        names = [channel for channel, _ in sent]
        if names:
            received = ["websocket.receive"] * (len(names) - 2)
            self.assertEqual(
                names, ["websocket.connect", *received, "websocket.disconnect"]
            )

    async def test_a_disconnect_without_room_is_tried_again_when_cancelled(self):
        self.layer = make_layer(
            layer_class=SpanningLayer, channel_capacity={"websocket.disconnect": 1}
        )
        client, _ = await self.open()
        await self.layer.asend("websocket.disconnect", {})
        await client.put("websocket.disconnect")
        while not self.layer.statistics("websocket.disconnect")["channel_full_count"]:
            await asyncio.sleep(0)
        client.future.cancel()
        await self.layer.areceive(["websocket.disconnect"])
        await asyncio.wait([client.future], timeout=TIMEOUT)
        await self.assertDisconnected(order=1)


class FaultTests(WebSocketTestCase):
    @cites("WS-2", "however the socket ends")
    async def test_a_layer_that_fails_to_send(self):
        client, _ = await self.open()
        layer = self.layer.channel_layer
        asend_batch = layer.asend_batch
        faults = [ConnectionError("gone")]

        async def flaky(messages):
            if faults:
                raise faults.pop()
            return await asend_batch(messages)

        patch_for(self, layer, "asend_batch", flaky)
        await client.put("websocket.receive", text="a")
        with self.assertRaisesMessage(ConnectionError, "gone"):
            await client.ended()
        await self.assertDisconnected(order=1)

    @cites("WS-3", "one more for each message after it")
    async def test_a_message_that_was_refused_has_no_number(self):
        self.layer = make_layer(
            layer_class=SpanningLayer, channel_capacity={"websocket.receive": 1}
        )
        client, _ = await self.open()
        with self.assertLogs("django.channels.interface", "WARNING") as logs:
            for _ in range(3):
                await client.put("websocket.receive", text="a")
            event = await client.get()
            await client.disconnect(1013)
        self.assertEqual(event, {"type": "websocket.close", "code": 1013})
        self.assertEqual(len(logs.output), 1)
        self.assertIn("with 1013: message queue full.", logs.output[0])
        self.assertEqual((await self.next_message("websocket.receive"))["order"], 1)
        await self.assertDisconnected(order=2)

    async def test_a_layer_that_is_away_is_not_said_to_be_full(self):
        away = LayerUnavailable("gone")
        client, _ = await self.open()
        layer = self.layer.channel_layer
        with mock.patch.object(layer, "asend_batch", side_effect=away):
            with self.assertLogs("django.channels.interface", "WARNING") as logs:
                await client.put("websocket.receive", text="a")
                await client.get()
        cause, closed = logs.output
        self.assertIn("Cannot send to websocket.receive: gone", cause)
        self.assertIn("with 1013: message queue not available.", closed)
        await client.disconnect(1013)

    @cites("WS-10", "too many replies wait to be written")
    async def test_a_client_that_never_reads_is_left(self):
        patch_for(self, websocket, "CLOSE_SECONDS", 0.01)
        client, connect = await self.open(limits={"WEBSOCKET_PENDING_MESSAGES": 2})
        connection = get_connection(client.application)
        connection._send = mock.Mock(side_effect=lambda event: asyncio.Future())
        with self.assertLogs("django.channels.interface", "WARNING") as logs:
            for _ in range(9):
                await self.reply(connect, text="a")
            await client.ended()
        self.assertEqual(len(logs.output), 1)
        await self.assertDisconnected(code=1013)

    async def test_one_layer_fault_keeps_no_disconnect_from_other_sockets(self):
        clients = [(await self.open())[0] for _ in range(2)]
        first, other = clients
        first.application.open_sockets.update(other.application.open_sockets)
        send = self.layer.channel_layer.send
        faults = [ConnectionError("gone")]

        def flaky(channel, message):
            if faults:
                raise faults.pop()
            send(channel, message)

        with mock.patch.object(self.layer.channel_layer, "send", flaky):
            with self.assertLogs("django.channels.interface", "ERROR") as logs:
                first.application.leave_sockets()
        self.assertIn("Lost websocket.disconnect of /chat/.", logs.output[0])
        await self.assertDisconnected(order=1)
        for client in clients:
            client.future.cancel()

    async def test_a_forked_child_leaves_the_sockets_to_its_parent(self):
        client, _ = await self.open()
        with mock.patch.object(os, "getpid", return_value=-1):
            client.application.leave_sockets()
        self.assertEqual(await self.layer.areceive(NAMES), (None, None))
        await client.disconnect()
        await self.assertDisconnected(order=1)
