"""Loops over what comes on named channels."""

import asyncio
import os
import signal
import threading
from unittest import mock

from asgiref.sync import async_to_sync

from django.channels import Message, background, receiving
from django.channels.background import alisten, listen
from django.channels.exceptions import LayerUnavailable
from django.test import SimpleTestCase

from .layers import default_layer, make_layer
from .third_party import AsyncOnlyLayer, SyncOnlyLayer
from .utils import TIMEOUT, patch_for

LOGGER = "django.channels.receiving"


class SyncLoops:
    """Loops over listen(), each in the thread that calls."""

    def collect(self, count, body=None, **options):
        """Return the first messages of a loop that ends after so many."""
        messages = listen("a", "b", channel_layer=self.layer, **options)
        found = []
        for message in messages:
            found.append(message)
            if body:
                body(message, messages)
            if len(found) == count:
                break
        return found

    def drain(self, body=None, **options):
        """Return all messages of a loop that ends by itself."""
        return self.collect(None, body, **options)


class AsyncLoops(SyncLoops):
    """Loops over alisten(), each in an event loop of its own."""

    def collect(self, count, body=None, **options):
        async def loop():
            messages = alisten("a", "b", channel_layer=self.layer, **options)
            found = []
            async for message in messages:
                found.append(message)
                if body:
                    body(message, messages)
                if len(found) == count:
                    break
            return found

        # It waits for what a loop that was left has to do yet.
        return asyncio.run(loop())


class LoopTests:
    def setUp(self):
        self.layer = make_layer(capacity=1000)
        # Not the one of the test runner.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)

    def left(self):
        """Return the numbers that are on the channel "a" still."""
        pairs = self.layer.receive_batch(["a"], 100)
        return [content["n"] for _, content in pairs]

    def send(self, *numbers):
        for n in numbers:
            self.layer.send("a", {"n": n})

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

    def test_signals_end_the_loop_after_the_body_and_are_as_before(self):
        for number in signal.SIGTERM, signal.SIGINT:
            with self.subTest(number=number):
                before = signal.getsignal(number)
                self.send(1, 2)

                def body(message, messages):
                    os.kill(os.getpid(), number)

                try:
                    self.assertEqual(len(self.drain(body)), 1)
                except KeyboardInterrupt:
                    # asyncio.run() has cancelled the task.
                    self.assertIsInstance(self, AsyncLoops)
                    self.assertEqual(number, signal.SIGINT)
                self.assertEqual(self.left(), [2])
                self.assertIs(signal.getsignal(number), before)

    def test_a_second_interrupt_is_not_held_up(self):
        def body(message, messages):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

        self.send(1, 2)
        with self.assertRaises(KeyboardInterrupt):
            self.drain(body, batch=2)
        self.assertEqual(self.left(), [2])

    def test_handlers_of_the_program_stay(self):
        calls = []

        def handler(number, frame):
            calls.append(number)

        before = signal.signal(signal.SIGTERM, handler)
        self.addCleanup(signal.signal, signal.SIGTERM, before)
        self.send(1, 2)
        self.collect(2, lambda *args: os.kill(os.getpid(), signal.SIGTERM))
        self.assertEqual(calls, [signal.SIGTERM] * 2)

    def test_signals_can_be_left_alone(self):
        seen = []
        self.send(1)
        self.collect(
            1,
            lambda *args: seen.append(signal.getsignal(signal.SIGTERM)),
            handle_signals=False,
        )
        self.assertEqual(seen, [signal.SIG_DFL])

    def test_faults_of_the_layer_are_waited_out(self):
        patch_for(self, receiving, "FIRST_BACKOFF_SECONDS", 0.001)
        raw, faults = self.layer.channel_layer, [1, 2, 3]
        name = "areceive_batch" if isinstance(self, AsyncLoops) else "receive_batch"
        receive = getattr(raw, name)

        def failing(*args):
            if faults:
                faults.pop()
                raise LayerUnavailable("The store is away.")
            return receive(*args)

        self.send(1)
        with mock.patch.object(raw, name, failing):
            with self.assertLogs(LOGGER, "ERROR") as logs:
                self.assertEqual(len(self.collect(1)), 1)
        self.assertEqual(len(logs.output), 3)
        self.assertIn("fails for a, b: The store is away.", logs.output[0])
        self.assertNotIn("Traceback", logs.output[0])

    def test_stop_ends_the_wait_after_a_fault(self):
        patch_for(self, receiving, "FIRST_BACKOFF_SECONDS", 3600)
        raw = self.layer.channel_layer

        def body(message, messages):
            error = mock.Mock(side_effect=ValueError("broken"))
            for name in "receive_batch", "areceive_batch":
                patch_for(self, raw, name, error)
            messages._receiver._backoff.reset()
            threading.Timer(0.05, messages.stop).start()

        self.send(1)
        with self.assertLogs(LOGGER, "ERROR") as logs:
            self.assertEqual(len(self.drain(body)), 1)
        self.assertIn("ValueError: broken", logs.output[0])

    def test_a_message_with_a_false_reply_channel_is_dropped(self):
        self.layer.send("a", {"reply_channel": "no name"})
        self.send(1)
        with self.assertLogs(LOGGER, "ERROR") as logs:
            self.assertEqual(self.collect(1)[0]["n"], 1)
        self.assertIn("Dropped a message on a: 'no name'", logs.output[0])

    def test_what_cannot_be_put_back_is_logged(self):
        self.send(1, 2)
        error = LayerUnavailable("The store is away.")
        for name in "put_back", "aput_back":
            patch_for(
                self, self.layer.channel_layer, name, mock.Mock(side_effect=error)
            )
        with self.assertLogs(LOGGER, "ERROR") as logs:
            self.collect(1, batch=2)
        self.assertIn("Cannot put a message back on a: The store is", logs.output[0])

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
