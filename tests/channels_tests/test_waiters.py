"""The races between those who wait on the memory layer and those who send."""

import asyncio

from django.channels.backends.memory import MemoryChannelLayer
from django.test import SimpleTestCase


class WaiterRaceTests(SimpleTestCase):
    """What may happen between the wake of a waiter and its run."""

    def setUp(self):
        self.layer = MemoryChannelLayer()
        self.addCleanup(self.layer.close)

    def lines(self, name):
        queue = self.layer._store.find(name)
        return len(queue.waiters), queue.woken

    async def begin(self, *channels, block=True, timeout=20):
        """Start a receive and return its task when it waits."""
        receiving = self.layer.areceive(list(channels), block, timeout)
        task = asyncio.create_task(receiving)
        await asyncio.sleep(0)
        return task

    async def test_a_waiter_cancelled_after_its_wake_passes_it_on(self):
        # The send wakes the first reader; before that runs, it is cancelled. If
        # its wake ended there, the message would lie beside the second reader.
        first, second = await self.begin("a"), await self.begin("a")
        self.layer.send("a", {"n": 1})
        self.assertEqual(self.lines("a"), (1, 1))
        first.cancel()
        self.assertEqual(await second, ("a", {"n": 1}))
        self.assertTrue(first.cancelled())
        self.assertEqual(self.lines("a"), (0, 0))

    async def test_a_waiter_whose_message_was_taken_waits_on(self):
        # Between the wake and the run, somebody who never waited takes the
        # message. The woken reader finds nothing, and may not return nothing.
        waiting = await self.begin("a")
        self.layer.send("a", {"n": 1})
        self.assertEqual(self.layer.receive(["a"]), ("a", {"n": 1}))
        for _ in range(3):
            await asyncio.sleep(0)
        self.assertFalse(waiting.done())
        self.assertEqual(self.lines("a"), (1, 0))
        self.layer.send("a", {"n": 2})
        self.assertEqual(await waiting, ("a", {"n": 2}))

    async def test_a_waiter_that_takes_from_another_channel_passes_its_wake_on(self):
        # The reader of both channels is woken for "a", but it is the turn of
        # "b", where a message came meanwhile. The reader of "a" alone was not
        # woken, as somebody was on the way; now it must be.
        both = await self.begin("a", "b")
        alone = await self.begin("a")
        self.layer._selections.get(["a", "b"], False, None).start = 1
        self.layer.send("a", {"n": 1})
        self.layer.send("b", {"n": 2})
        self.assertEqual(await both, ("b", {"n": 2}))
        self.assertEqual(await alone, ("a", {"n": 1}))

    async def test_a_message_wakes_one_reader_only(self):
        tasks = [await self.begin("a") for _ in range(3)]
        self.layer.send("a", {"n": 1})
        self.assertEqual(self.lines("a"), (2, 1))
        self.assertEqual(await tasks[0], ("a", {"n": 1}))
        self.assertEqual(self.lines("a"), (2, 0))
        self.layer.send_batch([("a", {"n": 2}), ("a", {"n": 3})])
        self.assertEqual(await tasks[1], ("a", {"n": 2}))
        self.assertEqual(await tasks[2], ("a", {"n": 3}))

    async def test_a_batch_takes_what_came_for_others_who_then_wait_on(self):
        # Two messages wake two readers; the first takes both.
        batch = asyncio.create_task(self.layer.areceive_batch(["a"], 10, True))
        await asyncio.sleep(0)
        other = await self.begin("a")
        self.layer.send_batch([("a", {"n": 1}), ("a", {"n": 2})])
        self.assertEqual(len(await batch), 2)
        await asyncio.sleep(0)
        self.assertFalse(other.done())
        self.layer.send("a", {"n": 3})
        self.assertEqual(await other, ("a", {"n": 3}))

    async def test_a_waiter_that_times_out_after_its_wake_takes_the_message(self):
        # The timer fires in the same turn of the loop in which a thread sends:
        # whichever ends the wait, the look that follows finds the message.
        waiting = await self.begin("a", timeout=0.001)
        loop = asyncio.get_running_loop()
        end = loop.time() + 0.002
        while loop.time() < end:
            # The timer is due, and cannot run before this test awaits.
            pass
        await asyncio.to_thread(self.layer.send, "a", {"n": 1})
        result = await waiting
        if result == (None, None):
            result = self.layer.receive(["a"])
        self.assertEqual(result, ("a", {"n": 1}))
        self.assertEqual(self.lines("a"), (0, 0))

    async def test_a_channel_that_is_closed_keeps_its_readers(self):
        # The queue of a closed channel is forgotten, but not from under a
        # reader who stands in its line.
        waiting = await self.begin("body?a")
        self.layer.close_channel("body?a")
        self.layer.send("body?a", {"n": 1})
        self.assertEqual(await waiting, ("body?a", {"n": 1}))

    def test_a_closed_loop_is_skipped(self):
        # The reader at the head of the line belongs to a loop that was closed;
        # waking it would lose the wake.
        dead = asyncio.new_event_loop()
        dead.set_exception_handler(lambda loop, context: None)
        task = dead.create_task(self.layer.areceive(["a"], block=True))
        dead.run_until_complete(asyncio.sleep(0))
        dead.close()

        async def main():
            waiting = await self.begin("a")
            self.assertEqual(self.lines("a"), (2, 0))
            self.layer.send("a", {"n": 1})
            self.assertEqual(self.lines("a"), (0, 1))
            return await waiting

        self.assertEqual(asyncio.run(main()), ("a", {"n": 1}))
        self.assertFalse(task.done())

    def test_a_loop_that_stands_still_is_woken_but_not_counted_on(self):
        # A loop between two runs may go on or never; its reader is woken for
        # the one case, and the next reader for the other.
        still = asyncio.new_event_loop()
        self.addCleanup(still.close)
        task = still.create_task(self.layer.areceive(["a"], block=True))
        still.run_until_complete(asyncio.sleep(0))

        async def main():
            waiting = await self.begin("a")
            self.layer.send("a", {"n": 1})
            return await waiting

        self.assertEqual(asyncio.run(main()), ("a", {"n": 1}))
        self.layer.send("a", {"n": 2})
        self.assertEqual(still.run_until_complete(task), ("a", {"n": 2}))

    async def test_a_wait_leaves_no_trace(self):
        self.assertEqual(self.layer.receive(["a", "b"], True, 0), (None, None))
        task = await self.begin("a", "b")
        task.cancel()
        await asyncio.wait([task])
        self.assertEqual(await self.layer.areceive(["a"], True, 0), (None, None))
        self.assertEqual(self.lines("a"), (0, 0))
        self.assertEqual(self.lines("b"), (0, 0))

    def test_a_signal_handler_may_send_within_a_call(self):
        # It runs in a thread that holds the lock: it must not wait for it.
        with self.layer._lock:
            self.layer.send("a", {"n": 1})
        self.assertEqual(self.layer.receive(["a"]), ("a", {"n": 1}))
