"""Loops over what comes on named channels."""

import asyncio
import threading
from unittest import mock

from asgiref.sync import async_to_sync

from django.channels import Message, background, receiving
from django.channels.backends.redis import RedisChannelLayer
from django.channels.background import alisten, listen
from django.test import SimpleTestCase

from . import services
from .layers import default_layer, make_layer
from .loops import AsyncLoops, LayerTests, SyncLoops
from .third_party import AsyncOnlyLayer, SyncOnlyLayer
from .utils import TIMEOUT, patch_for


class LoopTests(LayerTests):
    def test_messages_come_as_they_were_sent(self):
        self.send(1, 2)
        self.layer.send("b", {"reply_channel": "r!x", "b": b"\x00"})
        messages = self.collect(3)
        self.assertTrue(all(isinstance(message, Message) for message in messages))
        found = sorted((str(m.channel), len(m.content)) for m in messages)
        self.assertEqual(found, [("a", 1), ("a", 1), ("b", 2)])
        (other,) = [message for message in messages if "b" in message]
        self.assertEqual(other.reply_channel.name, "r!x")

    def test_an_answer_leaves_at_once(self):
        def body(message, messages):
            message.reply_channel.send({"n": 1})
            self.assertEqual(self.layer.receive(["r!"]), ("r!x", {"n": 1}))

        self.layer.send("a", {"reply_channel": "r!x"})
        self.assertEqual(len(self.collect(1, body)), 1)

    def test_a_loop_that_is_left_puts_back_what_it_has_not_begun(self):
        self.send(*range(5))
        messages = self.collect(2, batch=4)
        self.assertEqual([message["n"] for message in messages], [0, 1])
        self.assertEqual(self.left(), [2, 3, 4])

    def test_one_message_is_fetched_at_a_time(self):
        left = []
        self.send(1, 2)
        self.collect(1, lambda message, messages: left.extend(self.left()))
        self.assertEqual(left, [2])

    def test_a_failing_body_ends_the_loop_and_loses_its_message_only(self):
        def body(message, messages):
            raise ValueError("broken")

        self.send(*range(3))
        with self.assertRaisesMessage(ValueError, "broken"):
            self.drain(body, batch=3)
        self.assertEqual(self.left(), [1, 2])

    def test_a_traceback_that_is_kept_holds_nothing_back(self):
        def body(message, messages):
            raise ValueError("broken")

        self.send(*range(3))
        kept = None
        try:
            self.drain(body, batch=3)
        except ValueError as error:
            kept = error
        self.assertEqual(self.left(), [1, 2])
        self.assertIsNotNone(kept.__traceback__)

    def test_stop_ends_the_loop_after_the_body(self):
        def body(message, messages):
            if message["n"] == 1:
                messages.stop()
                messages.stop()

        self.send(*range(4))
        messages = self.drain(body, batch=4)
        self.assertEqual([message["n"] for message in messages], [0, 1])
        self.assertEqual(self.left(), [2, 3])

    def test_stop_ends_a_wait(self):
        def body(message, messages):
            threading.Timer(0.05, messages.stop).start()

        patch_for(self, receiving, "RECEIVE_SECONDS", None)
        self.send(1)
        self.assertEqual(len(self.drain(body)), 1)

    def test_stop_ends_a_wait_where_no_thread_starts(self):
        """As when Python 3.12.1 ends."""

        def body(message, messages):
            threading.Timer(0.05, messages.stop).start()

        refusing = mock.Mock(start_new_thread=mock.Mock(side_effect=RuntimeError))
        patch_for(self, receiving, "_thread", refusing)
        patch_for(self, receiving, "RECEIVE_SECONDS", None)
        self.send(1)
        self.assertEqual(len(self.drain(body)), 1)
        refusing.start_new_thread.assert_called_once()

    def test_connections_are_cleaned_up_around_each_message(self):
        calls = []
        patch_for(self, background, "close_old_connections", lambda: calls.append(1))
        self.send(1, 2)
        seen = []
        self.collect(2, lambda *args: seen.append(len(calls)))
        self.assertEqual(seen, [1, 3])

    def test_a_loop_leaves_nothing_on_the_layer(self):
        self.send(1, 2)
        self.drain(lambda message, messages: messages.stop(), batch=2)
        self.left()
        names = {n for n, q in self.layer.queues().items() if q["messages_pending"]}
        # What stop() sent may come after the end; it expires there.
        self.assertLessEqual({name[:13] for name in names}, {"receiver.wake"})

    def test_layers_with_one_form_work(self):
        for layer_class in SyncOnlyLayer, AsyncOnlyLayer:
            with self.subTest(layer_class=layer_class):
                self.layer = make_layer(layer_class=layer_class)
                self.addCleanup(self.layer.close)
                self.send(1, 2)
                messages = self.drain(lambda message, messages: messages.stop())
                self.assertEqual(len(messages), 1)
                self.assertEqual(self.left(), [2])


class SyncLoopTests(LoopTests, SyncLoops, SimpleTestCase):
    def test_the_layer_is_named_by_its_alias(self):
        with default_layer() as layer:
            layer.send("a", {"n": 1})
            self.assertEqual(next(iter(listen("a")))["n"], 1)

    def test_a_wrong_name_is_refused_at_once(self):
        for function in listen, alisten:
            for name in "no name", "reply!x":
                with self.subTest(function=function, name=name):
                    with self.assertRaisesMessage(TypeError, f"{name!r} is not a"):
                        function(name, channel_layer=self.layer)
            with self.assertRaisesMessage(TypeError, "at least one channel"):
                function(channel_layer=self.layer)
            message = "batch must be an int of at least 1, not 0."
            with self.assertRaisesMessage(TypeError, message):
                function("a", channel_layer=self.layer, batch=0)
            message = "channel_layer must be a channel layer, not 'default'; the name"
            with self.assertRaisesMessage(TypeError, message):
                function("a", channel_layer="default")

    def test_threads_share_a_channel(self):
        self.send(*range(200))
        found = []
        listeners = [listen("a", channel_layer=self.layer, batch=3) for _ in range(4)]

        def work(listener):
            for message in listener:
                found.append(message["n"])
                if len(found) == 200:
                    for each in listeners:
                        each.stop()

        threads = [
            threading.Thread(target=work, args=[listener], daemon=True)
            for listener in listeners
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
        self.assertEqual(sorted(found), list(range(200)))


class AsyncLoopTests(LoopTests, AsyncLoops, SimpleTestCase):
    def cancel(self, body):
        """Cancel a task that loops, once it has received a message."""

        async def main():
            begun = asyncio.Event()

            async def loop():
                async for message in alisten("a", channel_layer=self.layer, batch=3):
                    begun.set()
                    await body(message)

            task = asyncio.create_task(loop())
            await asyncio.wait_for(begun.wait(), TIMEOUT)
            # Into the wait of the body, or of the loop.
            for _ in range(10):
                await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(main())

    def test_a_cancelled_body_has_the_rest_put_back(self):
        async def body(message):
            await asyncio.Event().wait()

        self.send(*range(5))
        self.cancel(body)
        self.assertEqual(self.left(), [1, 2, 3, 4])

    def test_a_cancelled_wait_loses_nothing(self):
        async def body(message):
            pass

        self.send(0)
        self.cancel(body)
        self.send(1)
        self.assertEqual(self.left(), [1])

    def test_a_loop_beside_others_does_not_block(self):
        async def main():
            async def loop():
                async for message in alisten("a", channel_layer=self.layer):
                    return message["n"]

            task = asyncio.create_task(loop())
            await asyncio.sleep(0)
            await self.layer.asend("a", {"n": 1})
            return await asyncio.wait_for(task, TIMEOUT)

        self.assertEqual(async_to_sync(main)(), 1)


class RedisTests:
    """For LoopTests: the layer is in a Redis."""

    def setUp(self):
        super().setUp()
        options = {"hosts": [services.redis().url], "prefix": services.unique_name()}
        self.layer = make_layer(layer_class=RedisChannelLayer, **options)
        self.addCleanup(self.layer.close)


class SyncRedisTests(RedisTests, LoopTests, SyncLoops, SimpleTestCase):
    pass


class AsyncRedisTests(RedisTests, LoopTests, AsyncLoops, SimpleTestCase):
    pass
