"""Consumers that do what they had better not, and what that leaves unharmed."""

import asyncio
import sys
import threading
from unittest import mock

from asgiref.sync import sync_to_async

from django.channels import Channel, route, signals
from django.channels.backends.memory import MemoryChannelLayer
from django.channels.exceptions import ConsumeLater
from django.channels.worker import Worker, WorkerGroup, reports, synccode
from django.channels.worker import watch as watch_module
from django.test import SimpleTestCase

from .layers import SpanningLayer, make_layer
from .utils import TIMEOUT, patch_for


class PoisonTestCase(SimpleTestCase):
    def make_worker(self, consumer, channel="a", **options):
        self.layer = make_layer([route(channel, consumer)], **options)
        return Worker(self.layer)

    def receiver(self, signal):
        receiver = mock.Mock()
        signal.connect(receiver)
        self.addCleanup(signal.disconnect, receiver)
        return receiver

    def assertFails(self, worker, message, content=None, channel="a"):
        """Consume a message; the error log has ``message``."""
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            worker.consume(channel, content or {})
        self.assertEqual(len(logs.output), 1)
        self.assertIn("Error processing message on", logs.output[0])
        self.assertIn(message, logs.output[0])


class UnfinishedTests(PoisonTestCase):
    """Consumers whose call does nothing yet."""

    def test_a_generator_is_an_error(self):
        def consumer(message):
            yield message

        msg = "returned a generator, which nobody iterates over"
        self.assertFails(self.make_worker(consumer), msg)

    def test_an_asynchronous_generator_is_an_error(self):
        async def consumer(message):
            yield message

        msg = "returned a generator, which nobody iterates over"
        self.assertFails(self.make_worker(consumer), msg)

    def test_a_future_is_an_error(self):
        class Later:
            def __await__(self):
                yield

        msg = "returned something to await and is no coroutine function"
        self.assertFails(self.make_worker(lambda message: Later()), msg)


class LaterTests(PoisonTestCase):
    """Messages that cannot come again."""

    def consume(self, change, **options):
        def consumer(message):
            change(message)
            raise ConsumeLater

        worker = self.make_worker(consumer, **options)
        finished = self.receiver(signals.consumer_finished)
        content = {"reply_channel": "r!x", "confirm": True, "order": 3}
        self.assertFails(worker, "", content)
        finished.assert_called_once()
        self.assertIs(finished.call_args.kwargs["comes_again"], False)
        self.assertEqual(reports.following._running, {})
        report = {"type": "websocket.consumed", "order": 3}
        self.assertEqual(self.layer.receive(["r!"]), ("r!x", report))
        self.assertEqual(self.layer.receive(["a"]), (None, None))

    def test_what_a_consumer_made_of_its_message_may_be_no_message(self):
        self.consume(lambda message: message.content.update(user=object()))

    def test_a_message_may_have_grown_too_large(self):
        text = "x" * MemoryChannelLayer.max_message_size
        self.consume(lambda message: message.content.update(text=text))


class DepthTests(PoisonTestCase):
    def test_a_consumer_that_never_stops_to_call_is_an_error(self):
        def consumer(message):
            Channel("b", channel_layer=self.layer).send({})
            consumer(message)

        self.assertFails(self.make_worker(consumer), "RecursionError")
        self.assertEqual(self.layer.receive(["b"]), (None, None))

    def test_what_a_thread_of_a_consumer_sends_leaves_although_that_fails(self):
        def send():
            Channel("b", channel_layer=self.layer).send({"n": 1})

        def consumer(message):
            thread = threading.Thread(target=send)
            thread.start()
            thread.join()
            Channel("b", channel_layer=self.layer).send({"n": 2})
            raise ValueError("after its thread")

        self.assertFails(self.make_worker(consumer), "after its thread")
        self.assertEqual(self.layer.receive(["b"]), ("b", {"n": 1}))
        self.assertEqual(self.layer.receive(["b"]), (None, None))


class ReceiverTests(PoisonTestCase):
    def test_a_receiver_that_fails_before_a_consumer_is_an_error_of_it(self):
        def fail(**kwargs):
            raise ValueError("before")

        signals.consumer_started.connect(fail)
        self.addCleanup(signals.consumer_started.disconnect, fail)
        finished = self.receiver(signals.consumer_finished)
        consumer = mock.Mock(__qualname__="consumer")
        worker = self.make_worker(consumer, "websocket.connect")
        content = {"reply_channel": "r!x"}
        self.assertFails(worker, "before", content, "websocket.connect")
        consumer.assert_not_called()
        finished.assert_called_once()
        self.assertEqual(self.layer.receive(["r!"]), ("r!x", {"accept": False}))

    def test_a_receiver_that_fails_after_a_consumer_changes_no_answer(self):
        def consumer(message):
            message.reply_channel.send({"accept": True})

        def fail(**kwargs):
            raise ValueError("afterwards")

        signals.consumer_finished.connect(fail)
        self.addCleanup(signals.consumer_finished.disconnect, fail)
        worker = self.make_worker(consumer, "websocket.connect")
        with (
            self.assertLogs("django.dispatch", "ERROR") as logs,
            self.assertNoLogs("django.channels.worker"),
        ):
            worker.consume("websocket.connect", {"reply_channel": "r!x"})
        self.assertIn("afterwards", logs.output[0])
        self.assertEqual(self.layer.receive(["r!"]), ("r!x", {"accept": True}))
        self.assertEqual(self.layer.receive(["r!"]), (None, None))


class LoopTests(PoisonTestCase):
    def start(self, *routing, **options):
        self.layer = make_layer(routing, layer_class=SpanningLayer)
        group = WorkerGroup(self.layer, **options)
        group.start()
        self.addCleanup(group.stop, TIMEOUT)
        return group

    def result(self):
        return self.layer.receive(["results"], block=True, timeout=TIMEOUT)[1]

    def test_an_exit_of_a_task_ends_no_loop(self):
        async def leave():
            sys.exit(7)

        async def poison(message):
            begun.set()
            await asyncio.gather(leave())

        async def echo(message):
            Channel("results", channel_layer=self.layer).send({"n": message["n"]})

        begun = threading.Event()
        group = self.start(route("poison", poison), route("a", echo))
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            self.layer.send("poison", {})
            self.assertTrue(begun.wait(TIMEOUT))
            self.layer.send("a", {"n": 1})
            self.assertEqual(self.result(), {"n": 1})
            self.assertIs(group.stop(TIMEOUT), True)
        self.assertIn("SystemExit: 7", "".join(logs.output))

    def test_what_outlives_its_consumer_needs_no_thread_of_its_own(self):
        threads, tasks = [], []

        async def later(ended):
            await ended.wait()
            await sync_to_async(lambda: threads.append(threading.current_thread()))()
            await Channel("results", channel_layer=self.layer).asend({})

        async def consumer(message):
            ended = asyncio.Event()
            tasks.append(asyncio.create_task(later(ended)))
            asyncio.get_running_loop().call_later(0.01, ended.set)

        group = self.start(route("a", consumer))
        closings = mock.Mock()
        patch_for(self, synccode, "close_old_connections", closings)
        self.layer.send("a", {})
        self.assertEqual(self.result(), {})
        self.assertIs(group.stop(TIMEOUT), True)
        self.assertLessEqual({*threads}, {*group.threads})
        self.assertGreaterEqual(closings.call_count, 2)

    def test_a_thread_whose_consumer_took_too_long_ends_with_it(self):
        patch_for(self, watch_module, "LOOK_SECONDS", 0.01)
        begun, go_on = threading.Event(), threading.Event()

        def hold(message):
            begun.set()
            go_on.wait(TIMEOUT)

        def echo(message):
            Channel("results", channel_layer=self.layer).send({"n": message["n"]})

        with self.assertLogs("django.channels.worker", "ERROR"):
            group = self.start(route("hold", hold), route("a", echo), time_limit=0.05)
            (late,) = group.threads
            self.layer.send("hold", {})
            self.assertTrue(begun.wait(TIMEOUT))
            self.layer.send("a", {"n": 1})
            self.assertEqual(self.result(), {"n": 1})
        go_on.set()
        late.join(TIMEOUT)
        self.assertIs(late.is_alive(), False)
        self.layer.send("a", {"n": 2})
        self.assertEqual(self.result(), {"n": 2})
