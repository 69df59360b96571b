"""The thread that works for event loops, as loops, tasks and threads end."""

import asyncio
import gc
import threading
from collections import OrderedDict, deque
from contextlib import contextmanager
from unittest import mock

from django.channels.backends.shared import bell, courier
from django.channels.backends.waiters import ThreadWaiter

from .services.waiting import wait_for
from .shared_layers import WAIT, SharedLayerTestCase
from .utils import TIMEOUT


class GarbageTests(SharedLayerTestCase):
    """The garbage collector ends coroutines, in any thread."""

    def setUp(self):
        super().setUp()
        self.layer = self.make_layer()

    @contextmanager
    def no_collector(self):
        """Have garbage stay until a test collects it, and expect that of a task."""
        gc.disable()
        try:
            with self.assertLogs("asyncio", "ERROR") as logs:
                yield
        finally:
            gc.enable()
        self.assertIn("Task was destroyed but it is pending!", logs.output[0])

    def leave_a_message(self):
        """Close a loop that has a message on its way to a task."""
        loop = asyncio.new_event_loop()
        call, ended = loop.call_soon_threadsafe, threading.Event()
        handed = threading.Event()

        def call_late(callback, *args):
            if callback is courier._settle:
                call(loop.stop)
                ended.wait(TIMEOUT)
                handed.set()
            return call(callback, *args)

        async def receive():
            self.task = asyncio.ensure_future(self.layer.areceive(["one?x"], **WAIT))

        self.layer.send("one?x", {"n": 1})
        loop.run_until_complete(receive())
        del self.task
        with mock.patch.object(loop, "call_soon_threadsafe", call_late):
            loop.run_forever()
            ended.set()
            self.assertTrue(handed.wait(TIMEOUT))
        loop.close()

    def have_it_forget(self):
        """Return when the courier has nothing any more of what it worked on."""
        forgotten = threading.Event()
        self.layer._courier.errand(forgotten.set)
        forgotten.wait(TIMEOUT)

    def test_a_message_that_a_closed_loop_has_not_got_goes_back(self):
        pairs = []

        def receive():
            gc.collect()
            pairs.extend(self.layer.receive_batch(["one?x"], 2))
            return pairs

        with self.no_collector():
            self.leave_a_message()
            wait_for(receive, "the message is back")
        self.assertEqual(pairs, [("one?x", {"n": 1})])
        self.assertFalse(self.layer._courier.may_undo)

    def test_garbage_gives_back_also_where_its_thread_is_at_the_next_call(self):
        class Calls(deque):
            def append(self, call):
                # As whatever is made here may do it.
                gc.collect()
                super().append(call)

        with self.no_collector():
            self.leave_a_message()
            self.have_it_forget()
            self.layer._courier._calls = Calls()
            calling = self.in_thread(self.layer._courier.errand, gc.collect)
            self.assertIsNone(calling())
        self.assertEqual(self.layer.receive(["one?x"], **WAIT), ("one?x", {"n": 1}))
        courier = self.layer._courier
        wait_for(lambda: not courier.may_undo, "nothing may be undone")

    def test_garbage_passes_a_wake_on_also_where_its_thread_lines_up(self):
        layer, waiter = self.layer, ThreadWaiter(0)
        loop = asyncio.new_event_loop()

        async def receive():
            asyncio.ensure_future(layer.areceive(["normal"], **WAIT))
            await asyncio.to_thread(self.until_waiting, layer, "normal")

        def make():
            gc.collect()
            return OrderedDict()

        with self.no_collector():
            loop.run_until_complete(receive())
            loop.close()
            self.have_it_forget()
            # Nobody hears it.
            self.assertFalse(layer._owner.bell.wake("normal"))
            with mock.patch.object(bell, "OrderedDict", make):
                lining_up = self.in_thread(layer._owner.bell.enlist, waiter, ["normal"])
                self.assertIsNone(lining_up())
        waiter.wait(TIMEOUT)
        self.assertTrue(waiter.counted)


class ThreadTests(SharedLayerTestCase):
    """There may be none, or two of them."""

    def test_a_thread_that_cannot_be_started_is_started_by_the_next_call(self):
        layer = self.make_layer()
        layer.send("normal", {"n": 1})
        error = RuntimeError("can't start new thread")
        with mock.patch.object(threading.Thread, "start", side_effect=error):
            for _ in range(2):
                with self.assertRaisesMessage(RuntimeError, str(error)):
                    asyncio.run(layer.areceive(["normal"]))
                with self.assertRaisesMessage(RuntimeError, str(error)):
                    layer.receive(["normal"], **WAIT)
        self.assertFalse(layer._courier.is_busy or layer._courier.may_undo)

        async def receive():
            return await asyncio.wait_for(layer.areceive(["normal"], **WAIT), TIMEOUT)

        self.assertEqual(asyncio.run(receive()), ("normal", {"n": 1}))
        self.assertTrue(layer._owner._keeper._thread.is_alive())

    def test_a_thread_does_nothing_before_the_one_that_is_being_ended_is_done(self):
        layer = self.make_layer()
        layer.send_batch([("one?x", {"n": n}) for n in (1, 2)])
        courier, take = layer._courier, layer._store.take
        taken, joining, go_on = [threading.Event() for _ in range(3)]
        joins = []

        def take_and_stay(*args):
            pairs = take(*args)
            if not taken.is_set():
                taken.set()
                go_on.wait(TIMEOUT)
            return pairs

        def join(*args):
            joins.append(threading.current_thread())
            joining.set()
            if len(joins) == 2:
                go_on.set()
            threading.Thread.join(thread, *args)

        async def receive():
            return await layer.areceive(["one?x"], **WAIT)

        async def main():
            nonlocal thread
            cancelled = asyncio.create_task(receive())
            await asyncio.to_thread(taken.wait, TIMEOUT)
            thread = courier._thread
            cancelled.cancel()
            await asyncio.wait([cancelled])
            with mock.patch.object(thread, "join", join):
                stopping = asyncio.create_task(asyncio.to_thread(courier.stop))
                await asyncio.to_thread(joining.wait, TIMEOUT)
                received = [await receive() for _ in range(2)]
                go_on.set()
                await stopping
            return received

        thread = None
        with mock.patch.object(layer._store, "take", take_and_stay):
            received = asyncio.run(main())
        self.assertEqual([message["n"] for _, message in received], [1, 2])
