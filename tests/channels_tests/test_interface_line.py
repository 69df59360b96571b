import asyncio
import math
from unittest import skipUnless

from django.channels.exceptions import ChannelFull
from django.channels.interface.dispatch import LayerDispatcher
from django.channels.interface.lanes import LaneDispatcher
from django.channels.interface.line import BATCH_LIMIT, LINE_LIMIT, Lines, Place
from django.test import SimpleTestCase
from django.test.channel_layers import cites

from .layers import SpanningLayer, make_layer
from .utils import TIMEOUT, let_time_pass

CHANNEL = "http.request"


class LineTestCase(SimpleTestCase):
    def setUp(self):
        self.layer = make_layer(layer_class=SpanningLayer, capacity=2)
        self.addCleanup(self.layer.close)
        self.dispatcher = LayerDispatcher(self.layer)
        self.batches = []
        self.lines = Lines(self, CHANNEL)

    async def send_batch(self, channel, messages):
        """Pass on to the dispatcher, and note what was sent at once."""
        self.batches.append([message["n"] for _, message in messages])
        return await self.dispatcher.send_batch(channel, messages)

    def enter(self, n, seconds=math.inf, most=math.inf, **content):
        """Return the Place of a message in the line, and the task that sends it."""
        place = Place(self.dispatcher.open(), {"n": n, **content}, seconds, most)
        return place, asyncio.ensure_future(self.lines.here().send(place))

    async def taken(self):
        _, message = await self.layer.areceive([CHANNEL], block=True, timeout=TIMEOUT)
        return message["n"]


class LineTests(LineTestCase):
    async def test_what_comes_in_one_turn_of_the_loop_goes_out_together(self):
        tasks = [self.enter(n)[1] for n in range(2)]
        await asyncio.gather(*tasks)
        self.assertEqual(self.batches, [[0, 1]])

    @cites("HTTP-12", "requests wait in the order in which they came")
    async def test_who_waits_for_room_is_served_in_order(self):
        tasks = [self.enter(n)[1] for n in range(BATCH_LIMIT + 20)]
        for n in range(len(tasks)):
            self.assertEqual(await self.taken(), n)
        await asyncio.gather(*tasks)

    @skipUnless(hasattr(asyncio, "eager_task_factory"), "Python 3.12 has eager tasks.")
    async def test_a_loop_whose_tasks_are_eager_sends_one_after_the_other(self):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        for n in range(3):
            await asyncio.wait_for(self.enter(n)[1], TIMEOUT)
            self.assertEqual(await self.taken(), n)

    async def test_a_wait_has_an_end(self):
        tasks = [self.enter(n, 0.05)[1] for n in range(4)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        self.assertEqual(results[:2], [None, None])
        for error in results[2:]:
            self.assertIsInstance(error, ChannelFull)
        self.assertEqual([await self.taken() for _ in range(2)], [0, 1])
        self.assertEqual(self.layer.statistics()["messages_pending"], 0)

    async def test_nobody_is_given_up_while_others_are_served(self):
        tasks = [self.enter(n, 60)[1] for n in range(2 + 20)]
        for n in range(len(tasks)):
            await asyncio.gather(*tasks[: n + 2])
            # Twice of it is more than anybody waits for a channel that stays full.
            let_time_pass(50)
            self.assertEqual(await self.taken(), n)

    async def test_a_store_that_stood_still_is_tried_again(self):
        await self.layer.asend_batch([(CHANNEL, {"n": n}) for n in range(2)])
        send_batch = self.dispatcher.send_batch

        async def slow(*args):
            # Longer than anybody waits; and then there is room.
            let_time_pass(1)
            self.dispatcher.send_batch = send_batch
            results = await send_batch(*args)
            await self.taken()
            return results

        self.dispatcher.send_batch = slow
        await self.enter(2, 0.01)[1]

    async def test_nobody_waits_longer_than_the_most(self):
        tasks = [self.enter(n, 0.01, 0.05)[1] for n in range(3)]
        with self.assertRaises(ChannelFull):
            await tasks[2]

    async def test_a_line_that_is_too_long_takes_nobody(self):
        tasks = [self.enter(n)[1] for n in range(LINE_LIMIT + 1)]
        await asyncio.sleep(0)
        with self.assertRaisesMessage(ChannelFull, "4000 messages wait for room"):
            await tasks[-1]
        for n in range(LINE_LIMIT):
            self.assertEqual(await self.taken(), n)
        await asyncio.gather(*tasks[:-1])

    async def test_who_leaves_the_line_sends_nothing(self):
        places, tasks = zip(*[self.enter(n) for n in range(4)])
        await asyncio.wait(tasks[:2])
        tasks[2].cancel()
        with self.assertRaises(asyncio.CancelledError):
            await tasks[2]
        self.assertEqual([await self.taken() for _ in range(3)], [0, 1, 3])
        self.assertEqual([p.is_sent for p in places], [True, True, False, True])

    async def test_who_leaves_on_the_way_knows_whether_it_was_sent(self):
        release = asyncio.Event()
        send_batch = self.dispatcher.send_batch

        async def held(*args):
            await release.wait()
            return await send_batch(*args)

        self.dispatcher.send_batch = held
        places, tasks = zip(*[self.enter(n, 0.05) for n in range(3)])
        while not places[2].is_moving:
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)
        release.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for error in results[:2]:
            self.assertIsInstance(error, asyncio.CancelledError)
        self.assertIsInstance(results[2], ChannelFull)
        self.assertEqual([p.is_sent for p in places], [True, True, False])

    async def test_all_leave_it_when_their_loop_ends(self):
        begun = asyncio.Event()

        async def stand_still(channel, messages):
            begun.set()
            await asyncio.Event().wait()

        self.send_batch = stand_still
        tasks = [self.enter(n)[1] for n in range(BATCH_LIMIT + 2)]
        await begun.wait()
        everything = asyncio.all_tasks() - {asyncio.current_task()}
        for task in everything:
            # As asyncio.run() does.
            task.cancel()
        _, running = await asyncio.wait(everything, timeout=TIMEOUT)
        self.assertEqual(running, set())
        self.assertTrue(all(task.cancelled() for task in tasks))

    async def test_a_message_that_is_none_fails_alone(self):
        tasks = [self.enter(0)[1], self.enter(1, x=object())[1], self.enter(2)[1]]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        self.assertIsInstance(results[1], TypeError)
        self.assertEqual(results[::2], [None, None])


class LaneLineTests(LineTestCase):
    def setUp(self):
        super().setUp()
        self.consumed = []
        self.dispatcher = LaneDispatcher(self.consume, self.layer.get_capacity)
        self.addCleanup(self.dispatcher.stop, TIMEOUT)

    def consume(self, channel, message):
        self.consumed.append(message["n"])

    async def test_the_threads_of_the_process_are_waited_for_as_well(self):
        tasks = [self.enter(n)[1] for n in range(50)]
        await asyncio.wait_for(asyncio.gather(*tasks), TIMEOUT)
        self.assertIs(self.dispatcher.stop(TIMEOUT), True)
        self.assertEqual(sorted(self.consumed), list(range(50)))
