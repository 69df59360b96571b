"""The base class of layers: its defaults, its bridges and its checks."""

import asyncio
import threading
from unittest import mock

from django.channels.backends.base import BaseChannelLayer
from django.channels.backends.bridges import Handoff, receive_in_thread
from django.test import SimpleTestCase
from django.test.channel_layers import ChannelLayerConformanceTests

from .third_party import AsyncOnlyLayer, SyncOnlyLayer
from .utils import TIMEOUT

WAIT = {"block": True, "timeout": 20}


class SyncOnlyConformanceTests(ChannelLayerConformanceTests, SimpleTestCase):
    layer_class = SyncOnlyLayer


class AsyncOnlyConformanceTests(ChannelLayerConformanceTests, SimpleTestCase):
    layer_class = AsyncOnlyLayer


class Neither(BaseChannelLayer):
    pass


class Unfinished(BaseChannelLayer):
    supports_sync = True


class AsyncUnfinished(BaseChannelLayer):
    supports_async = True


class DefaultTests(SimpleTestCase):
    def test_a_layer_without_any_form_cannot_be_made(self):
        for layer_class in (BaseChannelLayer, Neither):
            with self.assertRaisesMessage(
                TypeError,
                f"{layer_class.__name__} must set supports_sync or supports_async.",
            ):
                layer_class()

    def test_a_method_that_a_layer_did_not_define_is_named(self):
        layer = Unfinished()
        message = "Unfinished does not define %s()."
        with self.assertRaisesMessage(NotImplementedError, message % "send"):
            layer.send("a", {})
        with self.assertRaisesMessage(NotImplementedError, message % "send"):
            asyncio.run(layer.asend("a", {}))
        with self.assertRaisesMessage(NotImplementedError, message % "receive"):
            layer.receive(["a"])
        with self.assertRaisesMessage(NotImplementedError, message % "receive"):
            asyncio.run(layer.areceive(["a"]))
        with self.assertRaisesMessage(NotImplementedError, message % "statistics"):
            layer.describe()

    def test_an_async_method_that_a_layer_did_not_define_is_named(self):
        layer = AsyncUnfinished()
        self.addCleanup(layer._bridge.stop)
        message = "AsyncUnfinished does not define %s()."
        with self.assertRaisesMessage(NotImplementedError, message % "asend"):
            layer.send("a", {})
        with self.assertRaisesMessage(NotImplementedError, message % "areceive"):
            layer.receive(["a"])
        with self.assertRaisesMessage(NotImplementedError, message % "agroup_add"):
            asyncio.run(layer.agroup_add("group", "a"))

    def test_defaults_of_the_options(self):
        layer = Unfinished()
        self.assertEqual(layer.expiry, 60)
        self.assertEqual(layer.group_expiry, 86400)
        self.assertEqual(layer.get_capacity("a"), 100)
        self.assertEqual(layer.max_message_size, 2 * 1024 * 1024)

    def test_by_default_what_is_put_back_is_sent_again(self):
        class Layer(SyncOnlyLayer):
            put_back = BaseChannelLayer.put_back

        layer = Layer(capacity=1)
        layer.send("a", {"n": 1})
        pair = layer.receive(["a"])
        self.assertEqual(layer.put_back([pair]), [None])
        self.assertIsInstance(layer.put_back([pair])[0], layer.ChannelFull)
        self.assertEqual(layer.receive(["a"]), pair)


class SyncBridgeTests(SimpleTestCase):
    """The sync form of an async layer."""

    def setUp(self):
        self.layer = AsyncOnlyLayer()
        self.addCleanup(self.layer.close)

    def test_it_never_runs_on_the_callers_loop(self):
        loops = []
        asend = self.layer.asend

        async def record(channel, message):
            loops.append(asyncio.get_running_loop())
            await asend(channel, message)

        async def main():
            self.layer.send("a", {})
            await self.layer.asend("a", {})
            self.layer.send("a", {})
            return asyncio.get_running_loop()

        with mock.patch.object(self.layer, "asend", record):
            callers = asyncio.run(main())
            self.layer.send("a", {})
        self.assertIs(loops[1], callers)
        self.assertIs(loops[0], loops[2])
        self.assertIs(loops[0], loops[3])
        self.assertIsNot(loops[0], callers)

    def test_no_thread_runs_before_the_first_use_and_after_close(self):
        # Threads of earlier tests may end meanwhile.
        before = set(threading.enumerate())
        self.assertIsNone(self.layer._bridge._thread)
        self.layer.send("a", {})
        thread = self.layer._bridge._thread
        self.assertTrue(thread.daemon)
        self.assertEqual(set(threading.enumerate()) - before, {thread})
        self.layer.close()
        self.assertFalse(thread.is_alive())
        self.assertEqual(set(threading.enumerate()) - before, set())

    def test_a_thread_that_cannot_be_started_is_started_by_the_next_call(self):
        error = RuntimeError("can't start new thread")
        with mock.patch.object(threading.Thread, "start", side_effect=error):
            with self.assertRaisesMessage(RuntimeError, str(error)):
                self.layer.send("a", {})
        self.assertIsNone(self.layer._bridge._loop)
        self.layer.send("a", {"n": 1})
        self.assertEqual(self.layer.receive(["a"]), ("a", {"n": 1}))

    def test_a_call_within_its_own_loop_is_an_error(self):
        async def agroup_add(group, channel):
            self.layer.send("a", {})

        with mock.patch.object(self.layer, "agroup_add", agroup_add):
            with self.assertRaisesMessage(RuntimeError, "Use the async form."):
                self.layer.group_add("group", "a")

    def test_an_interrupt_after_the_message_was_taken_loses_nothing(self):
        # The loop takes the message and delivers it; the thread that waits for
        # it is interrupted before it looks.
        self.layer.send("a", {"n": 1})
        submit = self.layer._bridge._submit

        def interrupted(coroutine):
            future = submit(coroutine)
            future.exception(20)
            future.result = mock.Mock(side_effect=KeyboardInterrupt("now"))
            return future

        with mock.patch.object(self.layer._bridge, "_submit", interrupted):
            with self.assertRaisesMessage(KeyboardInterrupt, "now"):
                self.layer.receive(["a"])
        self.assertEqual(self.layer.receive(["a"], **WAIT), ("a", {"n": 1}))

    def test_what_is_being_put_back_is_so_when_the_layer_was_closed(self):
        bridge, aput_back = self.layer._bridge, self.layer.aput_back
        submit = bridge._submit
        submitted, begun = [], threading.Event()

        async def put_back_slowly(pairs):
            begun.set()
            # Until the task comes that ends all others.
            while bridge._loop or asyncio.all_tasks() == {asyncio.current_task()}:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            return await aput_back(pairs)

        def interrupted(coroutine):
            submitted.append(submit(coroutine))
            if len(submitted) == 1:
                submitted[0].exception(TIMEOUT)
                error = KeyboardInterrupt("now")
                submitted[0].result = mock.Mock(side_effect=error)
            return submitted[-1]

        self.layer.send("a", {"n": 1})
        with mock.patch.object(self.layer, "aput_back", put_back_slowly):
            with mock.patch.object(bridge, "_submit", interrupted):
                with self.assertRaisesMessage(KeyboardInterrupt, "now"):
                    self.layer.receive(["a"])
            self.assertTrue(begun.wait(TIMEOUT))
            self.layer.close()
        self.assertEqual(self.layer.receive(["a"]), ("a", {"n": 1}))


class AsyncBridgeTests(SimpleTestCase):
    """The async form of a sync layer."""

    def setUp(self):
        self.layer = SyncOnlyLayer()

    def patch_receive(self, **kwargs):
        patcher = mock.patch.object(self.layer, "receive_batch", **kwargs)
        self.addCleanup(patcher.stop)
        return patcher.start()

    def test_it_never_runs_in_the_thread_of_the_loop(self):
        threads = []

        def send(channel, message):
            threads.append(threading.current_thread())

        with mock.patch.object(self.layer, "send", send):
            asyncio.run(self.layer.asend("a", {}))
        self.assertNotIn(threading.current_thread(), threads)

    def test_an_error_in_the_thread_is_raised(self):
        self.patch_receive(side_effect=OSError("gone"))
        with self.assertRaisesMessage(OSError, "gone"):
            asyncio.run(self.layer.areceive(["a"], **WAIT))

    def slow_receive(self):
        """Return when it has begun, what lets it go on, and a slow receive_batch()."""
        begun, go_on = threading.Event(), threading.Event()
        receive_batch = self.layer.receive_batch

        def slow(*args, **kwargs):
            begun.set()
            go_on.wait(20)
            return receive_batch(*args, **kwargs)

        return begun, go_on, slow

    def test_what_a_thread_takes_after_the_cancellation_goes_back(self):
        # The caller leaves while the thread is about to take a message.
        self.layer.send("a", {"n": 1})
        begun, go_on, slow = self.slow_receive()

        async def main():
            task = asyncio.create_task(self.layer.areceive(["a"], **WAIT))
            await asyncio.to_thread(begun.wait, 20)
            task.cancel()
            await asyncio.wait([task])
            self.assertTrue(task.cancelled())
            go_on.set()

        with mock.patch.object(self.layer, "receive_batch", slow):
            asyncio.run(main())
        self.assertEqual(self.layer.receive(["a"], **WAIT), ("a", {"n": 1}))

    def test_what_was_delivered_before_the_cancellation_goes_back(self):
        # The thread has delivered; before the task runs, it is cancelled.
        self.layer.send("a", {"n": 1})
        delivered = threading.Event()
        deliver = Handoff.deliver

        def record(handoff, pairs):
            result = deliver(handoff, pairs)
            delivered.set()
            return result

        async def main():
            task = asyncio.create_task(self.layer.areceive(["a"], **WAIT))
            await asyncio.sleep(0)
            # Blocks the loop, so that the task cannot run.
            self.assertTrue(delivered.wait(20))
            task.cancel()
            await asyncio.wait([task])
            self.assertTrue(task.cancelled())

        with mock.patch.object(Handoff, "deliver", record):
            asyncio.run(main())
        self.assertEqual(self.layer.receive(["a"], **WAIT), ("a", {"n": 1}))

    def test_what_is_taken_for_a_closed_loop_goes_back(self):
        begun, go_on, slow = self.slow_receive()
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)
        with mock.patch.object(self.layer, "receive_batch", slow):
            task = loop.create_task(receive_in_thread(self.layer, ["a"], 1, True, None))
            loop.run_until_complete(asyncio.sleep(0))
            begun.wait(20)
            loop.close()
            self.layer.send("a", {"n": 1})
            go_on.set()
            self.assertEqual(self.layer.receive(["a"], **WAIT), ("a", {"n": 1}))
        self.assertFalse(task.done())

    def test_what_cannot_go_back_is_logged(self):
        layer = SyncOnlyLayer(capacity=1)
        layer.send("a", {"n": 1})
        begun, go_on = threading.Event(), threading.Event()
        logged = threading.Event()

        def full(pairs):
            return [layer.ChannelFull("Channel 'a' is full.")]

        def receive_batch(*args, **kwargs):
            begun.set()
            go_on.wait(20)
            return [layer.receive(["a"])]

        async def main():
            task = asyncio.create_task(layer.areceive(["a"], **WAIT))
            await asyncio.to_thread(begun.wait, 20)
            task.cancel()
            await asyncio.wait([task])
            with mock.patch(
                "django.channels.backends.bridges.logger.error",
                side_effect=lambda *args: logged.set()
                or messages.append(args[0] % args[1:]),
            ):
                go_on.set()
                await asyncio.to_thread(logged.wait, 20)

        messages = []
        with (
            mock.patch.object(layer, "put_back", full),
            mock.patch.object(layer, "receive_batch", receive_batch),
        ):
            asyncio.run(main())
        self.assertEqual(
            messages,
            [
                "SyncOnlyLayer lost 1 messages that a cancelled receive had taken: "
                "Channel 'a' is full."
            ],
        )

    def test_a_thread_without_a_caller_ends(self):
        async def main():
            task = asyncio.create_task(self.layer.areceive(["a"], block=True))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

        before = set(threading.enumerate())
        with mock.patch("django.channels.backends.bridges.LOOK_UP_SECONDS", 0.01):
            asyncio.run(main())
            for thread in set(threading.enumerate()) - before:
                thread.join(20)
                self.assertFalse(thread.is_alive())
