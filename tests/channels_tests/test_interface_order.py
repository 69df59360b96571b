"""The interface sends the messages of an ordered socket one after the other."""

import asyncio
from types import SimpleNamespace

from django.channels.interface import turns, websocket
from django.channels.interface.application import Application
from django.channels.interface.lanes import LaneDispatcher
from django.test.channel_layers import cites

from .connections import WebSocketClient
from .layers import SpanningLayer, make_layer
from .messages import assert_specified
from .test_interface_endings import get_connection
from .test_interface_websocket import NAMES, WebSocketTestCase
from .utils import TIMEOUT, let_time_pass, patch_for


class OrderTestCase(WebSocketTestCase):
    async def tell(self, connect, kind, order=None):
        """Report on a message, as a worker does."""
        message = {"type": f"websocket.{kind}"}
        if order is not None:
            message["order"] = order
        assert_specified(self, message)
        await self.layer.asend(connect["reply_channel"], message)

    async def open_ordered(self, confirm=True, **options):
        """Return an accepted client and the websocket.connect of an ordered socket."""
        client = self.make_client(**options)
        await client.put("websocket.connect")
        connect = await self.next_message()
        self.assertIs(connect["ordered"], False)
        await self.tell(connect, "ordered")
        await self.reply(connect, accept=True)
        await client.get()
        if confirm:
            await self.tell(connect, "consumed", 0)
        return client, connect

    async def say(self, client, *texts):
        for text in texts:
            await client.put("websocket.receive", text=text)

    async def settle(self, client, connect):
        """Wait until whatever was sent to the socket so far has come."""
        await self.reply(connect, text="settled")
        self.assertEqual((await client.get())["text"], "settled")

    async def assertNothingSent(self, client, connect):
        await self.settle(client, connect)
        self.assertEqual(await self.layer.areceive(NAMES), (None, None))


class OrderTests(OrderTestCase):
    @cites("WS-16", "mark every later message of the socket with ordered and confirm")
    async def test_a_message_waits_until_the_one_before_was_consumed(self):
        client, connect = await self.open_ordered()
        await self.say(client, *"abc")
        for order, text in enumerate("abc", 1):
            message = await self.next_message()
            self.assertEqual((message["text"], message["order"]), (text, order))
            self.assertIs(message["ordered"], True)
            self.assertIs(message["confirm"], True)
            await self.assertNothingSent(client, connect)
            await self.tell(connect, "consumed", order)
        await client.disconnect()
        await self.assertDisconnected(order=4, ordered=True, confirm=True)

    @cites("WS-16", "the connect included")
    async def test_the_first_message_waits_for_the_connect(self):
        client, connect = await self.open_ordered(confirm=False)
        await self.say(client, "a")
        await self.assertNothingSent(client, connect)
        await self.tell(connect, "consumed", 0)
        self.assertEqual((await self.next_message())["text"], "a")
        await self.tell(connect, "consumed", 1)
        await client.disconnect()

    async def test_sockets_that_nobody_asked_order_for_do_not_wait(self):
        client, connect = await self.open()
        await self.say(client, *"abc")
        for text in "abc":
            message = await self.next_message()
            self.assertEqual(message["text"], text)
            self.assertNotIn("confirm", message)
        await client.disconnect()
        await self.assertDisconnected(order=4)

    @cites("WS-22", "for another message than the one that is being consumed")
    async def test_late_and_foreign_reports_are_ignored(self):
        client, connect = await self.open_ordered()
        await self.say(client, *"abc")
        await self.next_message()
        for order in (0, 2, 7, -1):
            await self.tell(connect, "consumed", order)
        for report in ({"order": "1"}, {}):
            await self.reply(connect, type="websocket.consumed", **report)
        await self.assertNothingSent(client, connect)
        await self.tell(connect, "consumed", 1)
        await self.tell(connect, "consumed", 1)
        self.assertEqual((await self.next_message())["text"], "b")
        await self.assertNothingSent(client, connect)
        client.future.cancel()

    @cites("WS-22", "however many replies wait to be written")
    async def test_a_client_that_reads_slowly_holds_up_no_order(self):
        client, connect = await self.open_ordered()
        gate = asyncio.Event()
        connection = get_connection(client.application)
        written = connection._send

        async def slow(event):
            await gate.wait()
            await written(event)

        connection._send = slow
        for number in range(5):
            await self.reply(connect, text=str(number))
        await self.say(client, "a", "b")
        await self.next_message()
        await self.tell(connect, "consumed", 1)
        self.assertEqual((await self.next_message())["text"], "b")
        gate.set()
        for number in range(5):
            self.assertEqual((await client.get())["text"], str(number))
        await self.tell(connect, "consumed", 2)
        await client.disconnect()

    async def test_a_gap_waits_for_its_turn(self):
        client, connect = await self.open_ordered()
        await self.say(client, "a")
        await self.next_message()
        await self.reply(connect, type="layer.gap")
        await self.assertNothingSent(client, connect)
        await self.tell(connect, "consumed", 1)
        gap = await self.next_message("websocket.gap")
        self.assertEqual((gap["order"], gap["confirm"]), (2, True))
        await self.tell(connect, "consumed", 2)
        await client.disconnect()
        await self.assertDisconnected(order=3)

    async def test_too_many_that_wait_close_the_socket(self):
        client, connect = await self.open_ordered(
            limits={"WEBSOCKET_PENDING_MESSAGES": 2}
        )
        await self.settle(client, connect)
        with self.assertLogs("django.channels.interface", "WARNING") as logs:
            await self.say(client, *"abcd")
            self.assertEqual((await client.get())["code"], 1013)
        self.assertIn("message queue full", logs.output[0])
        for order in (1, 2, 3):
            self.assertEqual((await self.next_message())["order"], order)
            await self.tell(connect, "consumed", order)
        await client.disconnect(1013)
        await self.assertDisconnected(code=1013, order=4)

    async def test_a_message_without_room_takes_what_waits_with_it(self):
        self.layer = make_layer(
            layer_class=SpanningLayer, channel_capacity={"websocket.receive": 1}
        )
        client, connect = await self.open_ordered()
        await self.say(client, *"abc")
        while not self.layer.statistics("websocket.receive")["messages_pending"]:
            await asyncio.sleep(0)
        with self.assertLogs("django.channels.interface", "WARNING"):
            await self.tell(connect, "consumed", 1)
            self.assertEqual((await client.get())["code"], 1013)
        await client.disconnect(1013)
        self.assertEqual((await self.next_message("websocket.receive"))["text"], "a")
        await self.assertDisconnected(order=2)


class LossTests(OrderTestCase):
    @cites("WS-17", "count as lost when the server's time limit has passed")
    async def test_a_lost_message_holds_up_the_next_one_for_a_while_only(self):
        client, connect = await self.open_ordered(
            limits={"WEBSOCKET_ORDER_SECONDS": 0.05}
        )
        with self.assertLogs("django.channels.interface", "WARNING") as logs:
            await self.say(client, *"ab")
            self.assertEqual((await self.next_message())["text"], "a")
            self.assertEqual((await self.next_message())["text"], "b")
        self.assertIn(
            "Nobody reported on message 1 of a socket to /chat/ for 0.05 s: it counts "
            "as lost.",
            # A slow machine may have lost others as well.
            "\n".join(logs.output),
        )
        # It was not lost, after all.
        await self.tell(connect, "consumed", 1)
        await self.tell(connect, "consumed", 2)
        await client.disconnect()
        await self.assertDisconnected(order=3)

    @cites("WS-17", "or since websocket.consuming came for it last")
    async def test_a_message_that_takes_long_is_not_lost(self):
        client, connect = await self.open_ordered(
            limits={"WEBSOCKET_ORDER_SECONDS": 60}
        )
        clock = asyncio.get_running_loop()
        patch_for(self, turns, "time", SimpleNamespace(monotonic=lambda: clock.time()))
        await self.say(client, *"ab")
        await self.next_message()
        with self.assertNoLogs("django.channels.interface", "WARNING"):
            for _ in range(5):
                let_time_pass(50)
                await self.tell(connect, "consuming", 1)
                await self.assertNothingSent(client, connect)
            await self.tell(connect, "consumed", 1)
            self.assertEqual((await self.next_message())["text"], "b")
        client.future.cancel()

    @cites("WS-17", "has passed since it was sent")
    async def test_the_time_begins_when_the_message_has_been_sent(self):
        client, connect = await self.open_ordered(
            limits={"WEBSOCKET_ORDER_SECONDS": 60}
        )
        await self.settle(client, connect)
        clock = [1000.0]
        patch_for(self, turns, "time", SimpleNamespace(monotonic=lambda: clock[0]))
        asend_batch = self.layer.channel_layer.asend_batch

        async def slow(messages):
            # As in a line for a channel that is full.
            clock[0] += 100
            return await asend_batch(messages)

        patch_for(self, self.layer.channel_layer, "asend_batch", slow)
        await self.say(client, *"ab")
        self.assertEqual((await self.next_message())["text"], "a")
        await self.assertNothingSent(client, connect)
        await self.tell(connect, "consumed", 1)
        self.assertEqual((await self.next_message())["text"], "b")
        client.future.cancel()


class EndTests(OrderTestCase):
    async def test_a_disconnect_comes_after_what_was_sent_before(self):
        patch_for(self, websocket, "CLOSE_SECONDS", 0.01)
        client, connect = await self.open_ordered()
        await self.say(client, *"ab")
        await self.next_message()
        # The server's call ends, and what is left does not.
        await client.disconnect()
        self.assertEqual(len(client.application.lingering), 1)
        self.assertEqual(await self.layer.areceive(NAMES), (None, None))
        await self.tell(connect, "consumed", 1)
        self.assertEqual((await self.next_message())["text"], "b")
        await self.tell(connect, "consumed", 2)
        await self.assertDisconnected(order=3)
        await asyncio.wait_for(asyncio.gather(*client.application.lingering), TIMEOUT)
        self.assertEqual(client.application.replies._open, {})

    @cites("WS-18", "shows that the connect is being consumed")
    async def test_a_disconnect_waits_for_the_connect(self):
        for answer, order in (({"accept": True}, None), ({"type": "x"}, 0)):
            with self.subTest(answer=answer):
                client = self.make_client()
                await client.put("websocket.connect")
                connect = await self.next_message()
                await client.put("websocket.disconnect", code=1006)
                while not client.application.lingering:
                    await asyncio.sleep(0)
                self.assertEqual(await self.layer.areceive(NAMES), (None, None))
                if order is None:
                    await self.reply(connect, **answer)
                else:
                    await self.tell(connect, "ordered")
                    await self.tell(connect, "consumed", 0)
                await client.ended()
                await self.assertDisconnected(code=1006, order=1)

    @cites("WS-18", "or the connect counts as lost")
    async def test_a_connect_that_nobody_answers_is_followed_by_a_disconnect(self):
        client = self.make_client(limits={"WEBSOCKET_ORDER_SECONDS": 0.05})
        with self.assertLogs("django.channels.interface", "WARNING"):
            await client.put("websocket.connect")
            await self.next_message()
            await client.disconnect(1006)
        await self.assertDisconnected(code=1006, order=1)

    @cites("WS-19", "at once, and nothing that waits for its turn")
    async def test_a_server_that_ends_waits_for_nobody(self):
        for closed in (False, True):
            with self.subTest(closed=closed):
                client, connect = await self.open_ordered()
                await self.say(client, *"ab")
                await self.next_message()
                await self.settle(client, connect)
                if closed:
                    await client.put("websocket.disconnect")
                    while not client.application.lingering:
                        await asyncio.sleep(0)
                client.future.cancel()
                await asyncio.wait([client.future], timeout=TIMEOUT)
                await self.assertDisconnected(order=2)
                self.assertEqual(client.application.replies._open, {})

    @cites("WS-19", "When the server ends")
    async def test_a_process_that_ends_waits_for_nobody(self):
        client, connect = await self.open_ordered()
        await self.say(client, *"ab")
        await self.next_message()
        await asyncio.to_thread(client.application.leave_sockets)
        await self.assertDisconnected(order=2)
        client.future.cancel()


class LaneTests(OrderTestCase):
    async def test_where_lanes_keep_the_order_every_message_says_so(self):
        seen = []
        dispatcher = LaneDispatcher(
            lambda channel, message: seen.append(message), self.layer.get_capacity
        )
        application = Application(self.layer, dispatcher)
        client = WebSocketClient(application)
        await client.put("websocket.connect")
        while not seen:
            await asyncio.sleep(0)
        await self.reply(seen[0], accept=True)
        await client.get()
        await self.say(client, "a")
        await client.disconnect()
        self.assertIs(dispatcher.stop(TIMEOUT), True)
        self.assertEqual([m["order"] for m in seen], [0, 1, 2])
        for message in seen:
            assert_specified(self, message)
            self.assertIs(message["ordered"], True)
            self.assertNotIn("confirm", message)
