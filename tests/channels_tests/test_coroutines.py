"""Consumers that are coroutines."""

import asyncio
import threading
from concurrent.futures import Future
from functools import partial

from asgiref.sync import markcoroutinefunction, sync_to_async

from django.channels import Channel, route, signals
from django.channels.exceptions import ConsumeLater, DenyConnection
from django.channels.interface.lanes import LaneDispatcher
from django.channels.worker import Worker, WorkerGroup
from django.channels.worker import coroutines as coroutines_module
from django.channels.worker import synccode
from django.channels.worker.coroutines import ConsumerLoop
from django.test import SimpleTestCase

from .layers import SpanningLayer, make_layer
from .utils import TIMEOUT, patch_for


async def echo(message):
    await asyncio.sleep(0)
    await Channel("results", channel_layer=message.channel_layer).asend(
        {"n": message["n"]}
    )


class Echo:
    async def __call__(self, message):
        await echo(message)


@markcoroutinefunction
def marked(message):
    return echo(message)


class ConsumeTests(SimpleTestCase):
    def make_worker(self, consumer, channel="a"):
        self.layer = make_layer([route(channel, consumer)])
        return Worker(self.layer)

    def result(self):
        return self.layer.receive(["results"])[1]

    def test_every_kind_of_coroutine_function_is_a_consumer(self):
        for consumer in echo, Echo(), partial(echo), marked:
            with self.subTest(consumer=consumer):
                self.make_worker(consumer).consume("a", {"n": 1})
                self.assertEqual(self.result(), {"n": 1})

    async def test_it_can_be_awaited(self):
        worker = self.make_worker(echo)
        await worker.aconsume("a", {"n": 1})
        self.assertEqual(self.result(), {"n": 1})

    async def test_other_consumers_can_be_awaited_as_well(self):
        threads = []
        worker = self.make_worker(lambda m: threads.append(threading.get_ident()))
        await worker.aconsume("a", {"n": 1})
        self.assertNotIn(threading.get_ident(), threads)
        self.assertEqual(len(threads), 1)

    def test_an_unmarked_one_is_an_error(self):
        worker = self.make_worker(lambda message: echo(message))
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            worker.consume("a", {"n": 1})
        self.assertIn("mark it with asgiref.sync.markcoroutinefunction", logs.output[0])
        self.assertIsNone(self.result())

    def test_what_a_failed_one_sent_is_discarded(self):
        async def fail(message):
            Channel("results", channel_layer=self.layer).send({})
            raise SystemExit

        worker = self.make_worker(fail)
        with self.assertLogs("django.channels.worker", "ERROR"):
            worker.consume("a", {})
        self.assertIsNone(self.result())

    def test_it_can_deny_a_socket(self):
        async def deny(message):
            raise DenyConnection

        worker = self.make_worker(deny, "websocket.connect")
        worker.consume("websocket.connect", {"reply_channel": "r!x"})
        self.assertEqual(self.layer.receive(["r!"])[1], {"accept": False})

    def test_it_can_be_consumed_later(self):
        async def later(message):
            if "again" not in message:
                message.content["again"] = True
                raise ConsumeLater

        worker = self.make_worker(later)
        worker.consume("a", {})
        channel, content = self.layer.receive(["a"])
        self.assertEqual(content["again"], True)
        worker.consume(channel, content)
        self.assertEqual(self.layer.receive(["a"]), (None, None))

    def test_signals_come_before_and_after(self):
        calls = []

        def receiver(signal, **kwargs):
            calls.append(signal)

        async def consumer(message):
            calls.append("consumer")

        for signal in (signals.consumer_started, signals.consumer_finished):
            signal.connect(receiver)
            self.addCleanup(signal.disconnect, receiver)
        self.make_worker(consumer).consume("a", {})
        self.assertEqual(
            calls, [signals.consumer_started, "consumer", signals.consumer_finished]
        )

    async def test_a_cancelled_one_sends_nothing_and_passes_it_on(self):
        begun = asyncio.Event()

        async def wait(message):
            Channel("results", channel_layer=self.layer).send({})
            begun.set()
            await asyncio.Event().wait()

        worker = self.make_worker(wait)
        task = asyncio.ensure_future(worker.aconsume("a", {}))
        await begun.wait()
        with self.assertLogs("django.channels.worker", "ERROR"):
            task.cancel()
            await asyncio.wait([task])
        self.assertIs(task.cancelled(), True)
        self.assertIsNone(self.result())


class RunTests(SimpleTestCase):
    def test_a_worker_alone_runs_coroutines_to_their_end(self):
        async def consumer(message):
            worker.stop()
            await asyncio.sleep(0.001)
            Channel("results", channel_layer=self.layer).send({"n": message["n"]})

        self.layer = make_layer([route("a", consumer)])
        worker = Worker(self.layer, signal_handlers=False)
        self.layer.send("a", {"n": 1})
        worker.run()
        self.assertEqual(self.layer.receive(["results"]), ("results", {"n": 1}))


class Gate:
    """A consumer that waits, and tells how many do."""

    def __init__(self):
        self.waiting = threading.Semaphore(0)
        self.go_on = Future()
        self.seen = []

    async def __call__(self, message):
        self.seen.append(message["n"])
        self.waiting.release()
        await asyncio.wrap_future(self.go_on)

    def wait_for(self, count):
        return all(self.waiting.acquire(timeout=TIMEOUT) for _ in range(count))


class GroupTests(SimpleTestCase):
    def make(self, gate, limit=None, **options):
        def quick(message):
            Channel("results", channel_layer=self.layer).send({"n": message["n"]})

        if limit:
            patch_for(self, coroutines_module, "RUNNING_CONSUMERS", limit)
        routing = [route("slow", gate), route("quick", quick)]
        self.layer = make_layer(routing, layer_class=SpanningLayer, **options)
        group = WorkerGroup(self.layer)
        group.start()
        self.addCleanup(group.stop, TIMEOUT)
        self.addCleanup(lambda: gate.go_on.done() or gate.go_on.set_result(None))
        return group

    def send(self, channel, count):
        for number in range(count):
            self.layer.send(channel, {"n": number})

    def test_many_run_at_a_time_beside_one_thread(self):
        gate = Gate()
        group = self.make(gate)
        self.send("slow", 50)
        self.assertTrue(gate.wait_for(50))
        self.send("quick", 1)
        pair = self.layer.receive(["results"], block=True, timeout=TIMEOUT)
        self.assertEqual(pair[1], {"n": 0})
        gate.go_on.set_result(None)
        self.assertIs(group.stop(TIMEOUT), True)

    def test_no_more_run_than_there_is_room_for(self):
        gate = Gate()
        group = self.make(gate, limit=3)
        self.send("slow", 10)
        self.assertTrue(gate.wait_for(3))
        self.send("quick", 1)
        pair = self.layer.receive(["results"], block=True, timeout=TIMEOUT)
        self.assertEqual(pair[1], {"n": 0})
        self.assertEqual(len(gate.seen), 3)
        gate.go_on.set_result(None)
        self.assertTrue(gate.wait_for(7))
        self.assertEqual(sorted(gate.seen), [*range(10)])
        self.assertIs(group.stop(TIMEOUT), True)

    def test_what_does_not_end_in_time_is_cut_off_and_logged(self):
        gate = Gate()
        patch_for(self, coroutines_module, "LOOP_SECONDS", TIMEOUT)
        group = self.make(gate)
        self.send("slow", 1)
        self.assertTrue(gate.wait_for(1))
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            self.assertIs(group.stop(0.05), False)
        self.assertIn("Cut off consumer channels_tests.test_coroutines.Gate", str(logs))


class SyncCodeTests(SimpleTestCase):
    """What coroutines do with the database needs no more threads."""

    def setUp(self):
        self.threads, self.closings = [], []
        patch_for(self, synccode, "close_old_connections", self.note_closing)

    def note_closing(self):
        self.closings.append(threading.get_ident())

    def note_thread(self):
        self.threads.append(threading.get_ident())

    async def consumer(self, message):
        await sync_to_async(self.note_thread)()
        await asyncio.sleep(0)
        await sync_to_async(self.note_thread)()
        Channel("results", channel_layer=self.layer).send({})

    def start(self, n_threads, *routing):
        routes = [route("a", self.consumer), *routing]
        self.layer = make_layer(routes, layer_class=SpanningLayer)
        group = WorkerGroup(self.layer, n_threads=n_threads)
        group.start()
        self.addCleanup(group.stop, TIMEOUT)
        return group

    def wait_for_results(self, count):
        for _ in range(count):
            pair = self.layer.receive(["results"], block=True, timeout=TIMEOUT)
            self.assertEqual(pair, ("results", {}))

    def test_it_runs_in_the_threads_of_the_workers(self):
        for n_threads in 1, 3:
            with self.subTest(n_threads=n_threads):
                self.threads.clear()
                group = self.start(n_threads)
                for _ in range(50):
                    self.layer.send("a", {})
                self.wait_for_results(50)
                idents = {thread.ident for thread in group.threads}
                self.assertEqual(len(self.threads), 100)
                self.assertLessEqual(set(self.threads), idents)
                self.assertIs(group.stop(TIMEOUT), True)

    def test_one_coroutine_has_one_thread_with_clean_connections(self):
        group = self.start(3)
        self.layer.send("a", {})
        self.wait_for_results(1)
        self.assertIs(group.stop(TIMEOUT), True)
        self.assertEqual(len(set(self.threads)), 1)
        self.assertEqual(self.closings, self.threads)

    def test_without_any_no_connection_is_touched(self):
        # Receivers of signals may be such code, too.
        for signal in (signals.consumer_started, signals.consumer_finished):
            patch_for(self, signal, "receivers", [])
        group = self.start(1, route("b", echo))
        self.layer.send("b", {"n": 1})
        self.layer.receive(["results"], block=True, timeout=TIMEOUT)
        self.assertIs(group.stop(TIMEOUT), True)
        self.assertEqual(self.closings, [])

    def test_it_is_done_while_the_group_stops(self):
        begun, go_on = threading.Event(), Future()
        self.addCleanup(lambda: go_on.done() or go_on.set_result(None))

        async def slow(message):
            begun.set()
            await asyncio.wrap_future(go_on)
            await self.consumer(message)

        group = self.start(2, route("slow", slow))
        self.layer.send("slow", {})
        self.assertTrue(begun.wait(TIMEOUT))
        done = []
        stopping = threading.Thread(target=lambda: done.append(group.stop(TIMEOUT)))
        stopping.start()
        go_on.set_result(None)
        stopping.join()
        self.assertEqual(done, [True])
        self.wait_for_results(1)

    def test_what_it_raises_comes_to_the_coroutine(self):
        async def fail(message):
            try:
                await sync_to_async(int)("x")
            except ValueError:
                Channel("results", channel_layer=self.layer).send({})

        self.start(1, route("fail", fail))
        self.layer.send("fail", {})
        self.wait_for_results(1)


class LaneTests(SimpleTestCase):
    """In the server's process."""

    def make(self, gate, threads=1):
        self.seen = []

        def note(message):
            self.seen.append(message["n"])

        layer = make_layer([route("slow", gate), route("quick", note)])
        worker = Worker(layer)
        lanes = LaneDispatcher(worker.begin, layer.get_capacity, threads)
        self.addCleanup(lanes.stop, TIMEOUT)
        self.addCleanup(worker.coroutines.stop, TIMEOUT)
        self.addCleanup(lambda: gate.go_on.done() or gate.go_on.set_result(None))
        return lanes

    async def test_a_waiting_coroutine_keeps_no_thread(self):
        gate = Gate()
        lanes = self.make(gate)
        for number in range(20):
            await lanes.open().send("slow", {"n": number})
        self.assertTrue(gate.wait_for(20))
        await lanes.open().send("quick", {"n": "quick"})
        gate.go_on.set_result(None)
        self.assertIs(lanes.stop(TIMEOUT), True)
        self.assertEqual(self.seen, ["quick"])

    async def test_the_next_message_of_a_lane_waits_for_the_coroutine(self):
        gate = Gate()
        lanes = self.make(gate, threads=3)
        lane = lanes.open()
        await lane.send("slow", {"n": 0})
        await lane.send("quick", {"n": 1, "order": 1})
        await lane.send("slow", {"n": 2, "order": 2})
        self.assertTrue(gate.wait_for(1))
        self.assertEqual(self.seen, [])
        gate.go_on.set_result(None)
        self.assertIs(lanes.stop(TIMEOUT), True)
        self.assertEqual((self.seen, gate.seen), ([1], [0, 2]))


class LoopTests(SimpleTestCase):
    def test_what_waits_for_room_begins_in_order(self):
        loop, seen = ConsumerLoop(limit=1), []

        def work(number):
            async def run():
                seen.append(number)
                await asyncio.sleep(0)

            return run

        futures = [loop.run(work(number), "a consumer") for number in range(5)]
        for future in futures:
            future.result(TIMEOUT)
        self.assertEqual(seen, [*range(5)])
        self.assertIs(loop.stop(TIMEOUT), True)

    def test_stopping_waits_for_what_waits(self):
        loop, seen = ConsumerLoop(limit=1), []

        async def run():
            await asyncio.sleep(0.001)
            seen.append(1)

        for _ in range(5):
            loop.run(run, "a consumer")
        self.assertIs(loop.stop(TIMEOUT), True)
        self.assertEqual(len(seen), 5)

    def test_a_failure_around_a_consumer_is_logged(self):
        loop = ConsumerLoop()

        async def fail():
            raise ValueError("around")

        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            loop.run(fail, "consumer x").result(TIMEOUT)
        self.assertIn("The run of consumer x failed:", logs.output[0])
        self.assertIs(loop.stop(TIMEOUT), True)
