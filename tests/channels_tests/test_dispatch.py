import asyncio
import threading
from unittest import mock

from django.channels.exceptions import ChannelFull
from django.channels.interface import outages
from django.channels.interface.dispatch import finish
from django.channels.interface.lanes import SLICE, LaneDispatcher
from django.test import SimpleTestCase

from .utils import TIMEOUT


class Consumer:
    """Notes what it consumes, and waits on messages that say so."""

    def __init__(self):
        self.seen = []
        self.running = threading.Semaphore(0)
        self.go_on = threading.Event()

    def __call__(self, channel, message):
        if message.get("wait"):
            self.running.release()
            self.go_on.wait(TIMEOUT)
        self.seen.append(message["n"])


class LaneTests(SimpleTestCase):
    def make(self, threads=2, capacity=100, **options):
        self.consumer = Consumer()
        dispatcher = LaneDispatcher(
            self.consumer, lambda channel: capacity, threads, **options
        )
        self.addCleanup(dispatcher.stop, TIMEOUT)
        self.addCleanup(self.consumer.go_on.set)
        return dispatcher

    def wait_for_running(self):
        self.assertTrue(self.consumer.running.acquire(timeout=TIMEOUT))

    async def test_a_lane_keeps_its_order(self):
        dispatcher = self.make(threads=4)
        lanes = [dispatcher.open() for _ in range(5)]
        for number in range(SLICE * 3):
            for index, lane in enumerate(lanes):
                await lane.send("a", {"n": (index, number), "order": number})
        self.assertIs(dispatcher.stop(TIMEOUT), True)
        for index in range(5):
            numbers = [n for i, n in self.consumer.seen if i == index]
            self.assertEqual(numbers, list(range(SLICE * 3)))

    async def test_a_slow_lane_delays_no_other(self):
        dispatcher = self.make(threads=2)
        slow, quick = dispatcher.open(), dispatcher.open()
        await slow.send("a", {"n": "slow", "wait": True})
        self.wait_for_running()
        await slow.send("a", {"n": "behind", "order": 1})
        await quick.send("a", {"n": "quick"})
        await quick.send("a", {"n": "waits", "wait": True, "order": 1})
        self.wait_for_running()
        self.assertEqual(self.consumer.seen, ["quick"])

    async def test_a_busy_lane_does_not_keep_its_thread(self):
        dispatcher = self.make(threads=1)
        busy, quick = dispatcher.open(), dispatcher.open()
        await busy.send("a", {"n": 0, "wait": True})
        self.wait_for_running()
        for number in range(1, SLICE * 2):
            await busy.send("a", {"n": number, "order": number})
        await quick.send("a", {"n": "quick"})
        self.consumer.go_on.set()
        self.assertIs(dispatcher.stop(TIMEOUT), True)
        self.assertEqual(self.consumer.seen.index("quick"), SLICE)

    async def test_more_first_messages_than_the_capacity_are_refused(self):
        dispatcher = self.make(threads=1, capacity=2)
        await dispatcher.open().send("a", {"n": 0, "wait": True})
        self.wait_for_running()
        await dispatcher.open().send("a", {"n": 1})
        await dispatcher.open().send("a", {"n": 2})
        msg = "2 messages wait on a; it holds 2."
        with self.assertRaisesMessage(ChannelFull, msg):
            await dispatcher.open().send("a", {"n": 3})
        await dispatcher.open().send("b", {"n": 4})

    async def test_more_waiting_messages_than_a_lane_holds_are_refused(self):
        dispatcher = self.make(threads=1, pending=2)
        lane = dispatcher.open()
        await lane.send("a", {"n": 0, "wait": True})
        self.wait_for_running()
        await lane.send("a", {"n": 1, "order": 1})
        await lane.send("a", {"n": 2, "order": 2})
        with self.assertRaisesMessage(ChannelFull, "2 messages wait on a; it holds 2."):
            await lane.send("a", {"n": 3, "order": 3})
        await lane.send("websocket.disconnect", {"n": 4, "order": 4})
        self.consumer.go_on.set()
        self.assertIs(dispatcher.stop(TIMEOUT), True)
        self.assertEqual(self.consumer.seen, [0, 1, 2, 4])

    async def test_an_abandoned_lane_runs_only_what_has_begun(self):
        dispatcher = self.make(threads=1, capacity=1)
        lane, abandoned = dispatcher.open(), dispatcher.open()
        await lane.send("a", {"n": 0, "wait": True})
        self.wait_for_running()
        await abandoned.send("a", {"n": 1})
        abandoned.abandon()
        await dispatcher.open().send("a", {"n": 2})
        self.consumer.go_on.set()
        self.assertIs(dispatcher.stop(TIMEOUT), True)
        self.assertEqual(self.consumer.seen, [0, 2])

    async def test_stopping_gives_up_in_time(self):
        dispatcher = self.make(threads=1)
        await dispatcher.open().send("a", {"n": 0, "wait": True})
        self.wait_for_running()
        await dispatcher.open().send("a", {"n": 1})
        self.assertIs(dispatcher.stop(0.01), False)
        self.consumer.go_on.set()

    async def test_no_more_threads_start_than_are_wanted(self):
        dispatcher = self.make(threads=2)
        for number in range(10):
            await dispatcher.open().send("a", {"n": number})
        self.assertEqual(len(dispatcher._started), 2)

    async def test_a_thread_that_cannot_start_leaves_the_work_to_others(self):
        dispatcher = self.make(threads=2)
        await dispatcher.open().send("a", {"n": 0})
        error = RuntimeError("can't create new thread at interpreter shutdown")
        with mock.patch.object(threading.Thread, "start", side_effect=error):
            await dispatcher.open().send("a", {"n": 1})
        self.assertIs(dispatcher.stop(TIMEOUT), True)
        self.assertEqual(self.consumer.seen, [0, 1])

    async def test_a_message_that_no_thread_can_consume_is_not_kept(self):
        dispatcher = self.make()
        lane = dispatcher.open()
        with mock.patch.object(threading.Thread, "start", side_effect=RuntimeError):
            with self.assertRaises(RuntimeError):
                await lane.send("a", {"n": 0})
        await lane.send("a", {"n": 1})
        self.assertIs(dispatcher.stop(TIMEOUT), True)
        self.assertEqual(self.consumer.seen, [1])


class FinishTests(SimpleTestCase):
    """What is begun is ended, however often its caller is cancelled."""

    async def start(self, error=None):
        """Return a task in finish(), and what ends the coroutine that it awaits."""
        self.go_on = asyncio.Event()

        async def work():
            await self.go_on.wait()
            if error:
                raise error
            return "done"

        async def call():
            try:
                return await finish(work())
            except ChannelFull:
                await asyncio.Event().wait()

        task = asyncio.ensure_future(call())
        await asyncio.sleep(0)
        return task

    async def cancel_twice(self, task):
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
            self.assertIs(task.done(), False)
        self.go_on.set()
        await asyncio.wait([task], timeout=TIMEOUT)

    async def test_without_a_cancellation_it_returns_the_result(self):
        task = await self.start()
        self.go_on.set()
        self.assertEqual(await task, "done")

    async def test_a_cancellation_comes_after_the_end(self):
        task = await self.start()
        await self.cancel_twice(task)
        self.assertIs(task.cancelled(), True)

    async def test_a_cancellation_comes_at_the_next_await_after_an_error(self):
        task = await self.start(error=ChannelFull("a"))
        await self.cancel_twice(task)
        self.assertIs(task.cancelled(), True)


class OutageTests(SimpleTestCase):
    def test_a_layer_that_fails_is_told_of_now_and_then(self):
        failing = outages.Outages()
        with mock.patch.object(outages, "time") as clock:
            with self.assertLogs("django.channels.interface", "ERROR") as logs:
                for second in (100, 105, 109, 110, 111):
                    clock.monotonic.return_value = second
                    failing.note("http.request", f"away at {second}")
        prefix = "ERROR:django.channels.interface:Cannot send to http.request: away at"
        self.assertEqual(logs.output, [f"{prefix} 100", f"{prefix} 110"])
