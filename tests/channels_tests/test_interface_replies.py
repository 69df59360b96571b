import asyncio
import gc
import queue
import threading
import weakref
from unittest import mock, skipUnless

from django.channels.interface import replies
from django.channels.interface.replies import ReplyInbox
from django.test import SimpleTestCase

from .layers import SpanningLayer, make_layer
from .utils import TIMEOUT


class ReplyInboxTests(SimpleTestCase):
    def setUp(self):
        self.layer = make_layer(layer_class=SpanningLayer)
        self.addCleanup(self.layer.close)
        self.inbox = ReplyInbox(self.layer)

    async def open_and_close(self):
        name = await self.inbox.open(lambda message: None)
        await self.inbox.close(name)
        return weakref.ref(asyncio.get_running_loop())

    def test_a_loop_that_ended_is_not_kept(self):
        reference = asyncio.run(self.open_and_close())
        gc.collect()
        self.assertIsNone(reference())

    def test_replies_to_a_loop_that_ended_are_dropped(self):
        async def leave_behind():
            return await self.inbox.open(self.fail)

        name = asyncio.run(leave_behind())
        mailbox, _ = self.inbox._open[name]
        for _ in range(3):
            mailbox.put(self.fail, {})
        self.assertEqual(len(mailbox._items), 0)
        asyncio.run(self.inbox.close(name))

    async def test_a_connection_that_fails_keeps_no_reply_from_others(self):
        received = asyncio.Queue()

        def fail(message):
            raise ValueError("broken")

        names = await self.inbox.open(fail), await self.inbox.open(received.put_nowait)
        with self.assertLogs("django.channels.interface", "ERROR") as logs:
            await self.layer.asend_batch([(name, {"n": 1}) for name in names])
            reply = await asyncio.wait_for(received.get(), TIMEOUT)
        self.assertEqual(reply, {"n": 1})
        self.assertIn("ValueError: broken", logs.output[0])
        for name in names:
            await self.inbox.close(name)

    async def send(self, name, number):
        await self.layer.asend(name, {"n": number})

    def readers(self):
        """Return whether a task reads, and whether a thread does."""
        return self.inbox._task is not None, self.inbox._thread is not None

    async def test_the_only_loop_with_connections_reads_itself(self):
        received = asyncio.Queue()
        name = await self.inbox.open(received.put_nowait)
        self.assertEqual(self.readers(), (True, False))
        for number in range(3):
            await self.send(name, number)
        for number in range(3):
            reply = await asyncio.wait_for(received.get(), TIMEOUT)
            self.assertEqual(reply, {"n": number})
        await self.inbox.close(name)

    async def test_a_thread_reads_for_several_loops(self):
        received, others = asyncio.Queue(), queue.SimpleQueue()
        name = await self.inbox.open(received.put_nowait)
        loop = asyncio.get_running_loop()

        async def serve():
            other = await self.inbox.open(others.put)
            self.assertEqual(self.readers(), (False, True))
            for number in range(3):
                await self.send(other, number)
                asyncio.run_coroutine_threadsafe(self.send(name, number), loop)
                reply = await asyncio.to_thread(others.get, timeout=TIMEOUT)
                self.assertEqual(reply, {"n": number})
            await self.inbox.close(other)

        serving = asyncio.to_thread(asyncio.run, serve())
        await asyncio.wait_for(serving, TIMEOUT)
        for number in range(3):
            reply = await asyncio.wait_for(received.get(), TIMEOUT)
            self.assertEqual(reply, {"n": number})
        await self.inbox.close(name)

    def test_a_thread_reads_for_connections_without_a_loop(self):
        received = queue.SimpleQueue()
        name = self.inbox.open_now(received.put)
        self.assertEqual(self.readers(), (False, True))
        self.layer.send(name, {"n": 1})
        self.assertEqual(received.get(timeout=TIMEOUT), {"n": 1})
        self.inbox.close_now(name)
        self.assertEqual(self.inbox._open, {})

    def no_thread(self):
        """Have no thread start, as where a process has all that it may have."""
        error = RuntimeError("can't start new thread")
        return mock.patch.object(threading.Thread, "start", side_effect=error)

    def test_a_thread_that_cannot_be_started_is_started_for_the_next_one(self):
        received = queue.SimpleQueue()
        with self.no_thread(), self.assertRaisesMessage(RuntimeError, "can't start"):
            self.inbox.open_now(received.put)
        self.assertEqual(self.readers(), (False, False))
        self.assertEqual(self.inbox._open, {})
        name = self.inbox.open_now(received.put)
        self.layer.send(name, {"n": 1})
        self.assertEqual(received.get(timeout=TIMEOUT), {"n": 1})
        self.inbox.close_now(name)

    async def test_a_task_goes_on_to_read_where_no_thread_can_be_started(self):
        received = asyncio.Queue()
        name = await self.inbox.open(received.put_nowait)
        with self.no_thread(), self.assertRaisesMessage(RuntimeError, "can't start"):
            self.inbox.open_now(self.fail)
        self.assertEqual(self.readers(), (True, False))
        await self.send(name, 1)
        reply = await asyncio.wait_for(received.get(), TIMEOUT)
        self.assertEqual(reply, {"n": 1})
        await self.inbox.close(name)

    async def test_a_reader_that_could_not_be_replaced_is_by_the_next_connection(self):
        received = asyncio.Queue()
        name = await self.inbox.open(received.put_nowait)
        task = self.inbox._task
        with self.no_thread():
            task.cancel()
            await asyncio.wait([task])
        self.assertEqual(self.readers(), (False, False))
        other = await self.inbox.open(self.fail)
        await self.send(name, 1)
        reply = await asyncio.wait_for(received.get(), TIMEOUT)
        self.assertEqual(reply, {"n": 1})
        for opened in (name, other):
            await self.inbox.close(opened)

    @skipUnless(hasattr(asyncio, "eager_task_factory"), "Python 3.12 has eager tasks.")
    async def test_a_loop_whose_tasks_are_eager_reads_itself(self):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        await self.test_the_only_loop_with_connections_reads_itself()

    def test_connections_of_a_loop_that_is_ending_are_still_read_for(self):
        async def serve():
            received = asyncio.Queue()
            name = await self.inbox.open(received.put_nowait)
            # As asyncio.run() does it to all tasks at its end.
            self.inbox._task.cancel()
            await asyncio.wait([self.inbox._task])
            self.assertEqual(self.readers(), (False, True))
            await self.send(name, 1)
            reply = await asyncio.wait_for(received.get(), TIMEOUT)
            self.assertEqual(reply, {"n": 1})
            await self.inbox.close(name)

        asyncio.run(serve())

    def test_a_forked_child_has_an_inbox_of_its_own(self):
        name = self.inbox.open_now(lambda message: None)
        pattern = self.inbox._pattern
        with mock.patch.object(replies, "_inboxes", [self.inbox]):
            replies._reset_in_child()
        self.assertEqual(self.inbox._open, {})
        self.assertNotEqual(self.inbox._pattern, pattern)
        self.layer.close_channel(name)
