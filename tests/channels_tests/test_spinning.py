"""Waits that look for a moment before they sleep."""

import asyncio
from unittest import mock

from django.channels.backends.shared import spinning
from django.channels.backends.shared.spinning import Spinner
from django.test import SimpleTestCase

QUICK, SPIN = spinning.QUICK_SECONDS, spinning.SPIN_SECONDS
# How long a look takes here, in seconds.
LOOK = SPIN / 10


class SpinningTestCase(SimpleTestCase):
    """A spinner on a clock that goes on by what the test does."""

    def setUp(self):
        self.now = 0.0
        self.looks = self.yields = self.sleeps = 0
        # When something is there for look(), and how long sleep() takes to find it.
        self.there = None
        self.slept = QUICK
        self.spinner = Spinner()
        for target, name, new in (
            (spinning.time, "perf_counter", lambda: self.now),
            (spinning, "_give_way", self.give_way),
        ):
            patcher = mock.patch.object(target, name, new)
            patcher.start()
            self.addCleanup(patcher.stop)

    def give_way(self):
        self.yields += 1

    def look(self):
        self.looks += 1
        self.now += LOOK
        return self.there is not None and self.now >= self.there and "seen"

    def sleep(self):
        self.sleeps += 1
        self.now += self.slept
        return "woken"

    def wait(self):
        return self.spinner.wait(self.look, self.sleep)


class WaitTests(SpinningTestCase):
    def test_the_first_wait_sleeps_at_once(self):
        self.assertEqual(self.wait(), "woken")
        self.assertEqual((self.looks, self.sleeps), (0, 1))

    def test_a_wait_after_a_short_one_looks_first(self):
        self.wait()
        self.there = self.now + 5 * LOOK
        self.assertEqual(self.wait(), "seen")
        self.assertEqual((self.sleeps, self.yields), (1, self.looks - 1))

    def test_spinning_ends_in_a_sleep(self):
        self.wait()
        begun = self.now
        self.assertEqual(self.wait(), "woken")
        self.assertEqual(self.sleeps, 2)
        self.assertAlmostEqual(self.now - begun, SPIN + QUICK, delta=2 * LOOK)

    def test_a_long_wait_lets_the_next_one_sleep_at_once(self):
        self.wait()
        self.slept = 1
        self.wait()
        looks = self.looks
        self.wait()
        self.assertEqual(self.looks, looks)

    def test_a_wait_that_found_nothing_lets_the_next_one_sleep_at_once(self):
        self.assertIsNone(self.spinner.wait(self.look, lambda: None))
        self.wait()
        self.assertEqual(self.looks, 0)

    def test_nothing_spins_where_nobody_can_give_way(self):
        with mock.patch.object(spinning, "_give_way", None):
            for _ in range(3):
                self.wait()
        self.assertEqual((self.looks, self.sleeps), (0, 3))


class AwaitTests(SpinningTestCase):
    async def await_(self):
        async def sleep():
            return self.sleep()

        return await self.spinner.await_(self.look, sleep)

    async def make_quick(self):
        self.assertEqual(await self.await_(), "woken")
        self.assertEqual(self.looks, 0)

    def test_other_tasks_run_while_one_spins(self):
        async def main():
            await self.make_quick()

            async def bring():
                self.there = self.now

            task = asyncio.create_task(bring())
            self.assertEqual(await self.await_(), "seen")
            await task

        asyncio.run(main())
        self.assertEqual(self.sleeps, 1)

    def test_one_task_at_a_time_spins(self):
        async def main():
            await self.make_quick()
            first = asyncio.create_task(self.await_())
            await asyncio.sleep(0)
            looks = self.looks
            self.assertGreater(looks, 0)
            self.assertEqual(await self.await_(), "woken")
            self.assertEqual(self.looks, looks)
            self.there = self.now
            self.assertEqual(await first, "seen")

        asyncio.run(main())

    def test_a_task_that_was_cancelled_spins_no_more(self):
        async def main():
            await self.make_quick()
            task = asyncio.create_task(self.await_())
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.there = self.now
            self.assertEqual(await self.await_(), "seen")

        asyncio.run(main())
