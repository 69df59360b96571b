"""Waiting for messages: threads, tasks, timeouts and what else ends a wait."""

import asyncio
import queue
import signal
import threading
import time
from unittest import skipUnless

from .base import WAIT_SECONDS, ConformanceBase, cites
from .forms import both_forms

WAIT = {"block": True, "timeout": WAIT_SECONDS}


class WaitingTests(ConformanceBase):
    @cites("CL-22", "at most that many seconds")
    @both_forms()
    def test_a_wait_ends_with_its_timeout(self, layer):
        for timeout in (0, 0.0, 0.01):
            self.assertEqual(layer.receive(["a"], True, timeout), (None, None))
            batch = layer.receive_batch(["a", "b!"], 5, block=True, timeout=timeout)
            self.assertEqual(batch, [])

    @cites("CL-22", "A message that comes ends the wait of a reader of its channel")
    def test_a_thread_waits_for_a_message_of_a_thread(self):
        layer = self.make_layer()
        pool = self.pool(1)
        for name, key in (("a", "a"), ("a?b", "a?b"), ("a!b", "a!")):
            for timeout in (None, WAIT_SECONDS):
                future = pool.submit(layer.receive, ["c", key], True, timeout)
                layer.send(name, {"n": name})
                pair = future.result(WAIT_SECONDS)
                self.assertEqual(pair, (name, {"n": name}))

    @cites("CL-22", "A message that comes ends the wait")
    @cites("CL-3", "leave the loop free for other tasks while it waits")
    def test_a_task_waits_for_a_message_of_its_own_loop(self):
        layer = self.make_layer()

        async def main():
            for name, key in (("a", "a"), ("a?b", "a?b"), ("a!b", "a!")):
                for timeout in (None, WAIT_SECONDS):
                    receiving = asyncio.create_task(
                        layer.areceive(["c", key], True, timeout)
                    )
                    await asyncio.sleep(0)
                    self.assertFalse(receiving.done())
                    await layer.asend(name, {"n": name})
                    self.assertEqual(await receiving, (name, {"n": name}))

        self.run_async(main)

    @cites("CL-1", "see the same messages and groups")
    @cites("CL-2", "also in one whose event loop is running")
    def test_both_forms_wake_each_other(self):
        layer = self.make_layer()
        pool = self.pool(1)

        async def main():
            loop = asyncio.get_running_loop()
            task = asyncio.create_task(layer.areceive(["a"], **WAIT))
            await asyncio.sleep(0)
            layer.send("a", {"from": "sync, on the loop"})
            self.assertEqual((await task)[1], {"from": "sync, on the loop"})
            task = asyncio.create_task(layer.areceive(["a"], **WAIT))
            await loop.run_in_executor(pool, layer.send, "a", {"from": "a thread"})
            self.assertEqual((await task)[1], {"from": "a thread"})
            waiting = loop.run_in_executor(pool, lambda: layer.receive(["a"], **WAIT))
            await layer.asend("a", {"from": "a task"})
            self.assertEqual((await waiting)[1], {"from": "a task"})

        self.run_async(main)

    @cites("CL-2", "never run anything on the caller's loop")
    def test_the_sync_form_works_while_the_loop_is_blocked(self):
        layer = self.make_layer()

        async def main():
            await layer.asend("a", {"n": 1})
            self.assertEqual(layer.receive(["a"], **WAIT), ("a", {"n": 1}))
            layer.send("b", {"n": 2})
            self.assertEqual(layer.receive_batch(["b"], 1), [("b", {"n": 2})])
            return layer.new_channel("inbox!")

        self.assertEqual(self.run_async(main)[:6], "inbox!")

    @cites("CL-3", "one after the other and several at a time")
    def test_event_loops_share_a_layer(self):
        layer = self.make_layer()
        pool = self.pool(2)

        async def play(own, other, first):
            for n in range(20):
                if first:
                    await layer.asend(other, {"n": n})
                self.assertEqual(await layer.areceive([own], **WAIT), (own, {"n": n}))
                if not first:
                    await layer.asend(other, {"n": n})

        for _ in range(2):
            futures = [
                pool.submit(self.run_async, play, "a?ping", "a?pong", True),
                pool.submit(self.run_async, play, "a?pong", "a?ping", False),
            ]
            for future in futures:
                future.result(WAIT_SECONDS)

    @cites("CL-22", "several messages end the waits of as many readers")
    def test_several_readers_get_a_message_each(self):
        layer = self.make_layer(capacity=10)
        pool = self.pool(4)

        async def main():
            loop = asyncio.get_running_loop()
            waiting = [asyncio.create_task(layer.areceive(["a"], **WAIT))]
            waiting += [
                loop.run_in_executor(pool, lambda: layer.receive(["b", "a"], **WAIT))
                for _ in range(4)
            ]
            waiting.append(asyncio.create_task(layer.areceive(["a", "b"], **WAIT)))
            await asyncio.sleep(0)
            layer.send_batch([("a", {"n": n}) for n in range(6)])
            received = await asyncio.gather(*waiting)
            self.assertEqual(sorted(m["n"] for _, m in received), list(range(6)))

        self.run_async(main)

    @cites("CL-19", "whatever number of threads, tasks and processes receive")
    @cites("CL-20", "unless it expires, is flushed, its channel is closed, or")
    def test_threads_and_loops_that_share_channels_get_each_message_once(self):
        layer = self.make_layer(capacity=1000)
        pool = self.pool(8)
        channels = ["a", "b?c", "d!"]
        received = queue.Queue()

        def read():
            while (message := layer.receive(channels, **WAIT)[1]) != {"end": True}:
                received.put(message["n"])

        async def aread():
            while (pair := await layer.areceive(channels, **WAIT))[1] != {"end": True}:
                received.put(pair[1]["n"])

        def write(writer):
            for n in range(100):
                name = ("a", "b?c", "d!e")[n % 3]
                layer.send(name, {"n": writer * 100 + n})

        readers = [pool.submit(read) for _ in range(2)]
        readers += [pool.submit(self.run_async, aread) for _ in range(2)]
        for writer in [pool.submit(write, n) for n in range(4)]:
            writer.result(WAIT_SECONDS)
        numbers = [received.get(timeout=WAIT_SECONDS) for _ in range(400)]
        self.assertEqual(sorted(numbers), list(range(400)))
        layer.send_batch([("a", {"end": True})] * 4)
        for reader in readers:
            reader.result(WAIT_SECONDS)
        self.assertTrue(received.empty())

    @cites("CL-25", "must be received in the order in which they were sent")
    def test_each_of_several_senders_is_read_in_order(self):
        layer = self.make_layer(capacity=1000)
        pool = self.pool(4)

        def write(name, writer):
            for n in range(100):
                layer.send(name, {"writer": writer, "n": n})

        for name, key in (("a?b", "a?b"), ("a!b", "a!")):
            for writer in range(4):
                pool.submit(write, name, writer)
            read = [layer.receive([key], **WAIT)[1] for _ in range(400)]
            for writer in range(4):
                numbers = [m["n"] for m in read if m["writer"] == writer]
                self.assertEqual(numbers, list(range(100)))


class EndOfWaitTests(ConformanceBase):
    @cites("CL-23", "by a timeout, a cancellation or an interrupt, at any point")
    def test_a_wait_that_is_cancelled_at_any_point_loses_nothing(self):
        layer = self.make_layer()

        async def main(steps_before, steps_after):
            task = asyncio.create_task(layer.areceive(["a", "b"], **WAIT))
            for _ in range(steps_before):
                await asyncio.sleep(0)
            await layer.asend("a", {"n": 1})
            for _ in range(steps_after):
                await asyncio.sleep(0)
            task.cancel()
            result = (await asyncio.gather(task, return_exceptions=True))[0]
            if isinstance(result, asyncio.CancelledError):
                result = await layer.areceive(["b", "a"], **WAIT)
            self.assertEqual(result, ("a", {"n": 1}))
            self.assertEqual(await layer.areceive(["a"]), (None, None))

        for steps_before in range(5):
            for steps_after in range(5):
                with self.subTest(before=steps_before, after=steps_after):
                    self.run_async(main, steps_before, steps_after)

    @cites("CL-23", "nor keep it from other readers")
    def test_a_cancelled_reader_leaves_the_message_to_the_next(self):
        layer = self.make_layer()

        async def main(steps):
            first = asyncio.create_task(layer.areceive(["a"], **WAIT))
            await asyncio.sleep(0)
            second = asyncio.create_task(layer.areceive(["a"], **WAIT))
            await asyncio.sleep(0)
            await layer.asend("a", {"n": 1})
            for _ in range(steps):
                await asyncio.sleep(0)
            first.cancel()
            result = (await asyncio.gather(first, return_exceptions=True))[0]
            if isinstance(result, asyncio.CancelledError):
                result = await second
            else:
                second.cancel()
            self.assertEqual(result, ("a", {"n": 1}))

        for steps in range(4):
            with self.subTest(steps=steps):
                self.run_async(main, steps)

    @cites("CL-23", "neither lose a message")
    def test_waits_that_time_out_while_messages_come_lose_nothing(self):
        layer = self.make_layer(capacity=1000)
        pool = self.pool(3)
        received = []
        end = time.monotonic() + WAIT_SECONDS

        def read(timeout):
            while len(received) < 200 and time.monotonic() < end:
                _, message = layer.receive(["a"], block=True, timeout=timeout)
                if message is not None:
                    received.append(message["n"])

        async def aread(timeout):
            while len(received) < 200 and time.monotonic() < end:
                receiving = layer.areceive(["a"], block=True)
                try:
                    _, message = await asyncio.wait_for(receiving, timeout)
                except asyncio.TimeoutError:
                    continue
                received.append(message["n"])

        readers = [pool.submit(read, timeout) for timeout in (0, 0.0005)]
        readers.append(pool.submit(self.run_async, aread, 0.001))
        for n in range(200):
            layer.send("a", {"n": n})
        for reader in readers:
            reader.result(WAIT_SECONDS)
        self.assertEqual(sorted(received), list(range(200)))

    @cites("CL-23", "an interrupt")
    @skipUnless(hasattr(signal, "pthread_kill"), "Threads get no signals here.")
    def test_an_interrupted_wait_loses_nothing(self):
        layer = self.make_layer()
        pool = self.pool(1)
        if threading.current_thread() is not threading.main_thread():
            self.skipTest("Only the main thread is interrupted.")

        def interrupt(number, frame):
            raise KeyboardInterrupt("interrupted")

        self.addCleanup(
            signal.signal, signal.SIGUSR1, signal.signal(signal.SIGUSR1, interrupt)
        )
        main = threading.main_thread().ident
        with self.assertRaisesMessage(KeyboardInterrupt, "interrupted"):
            pool.submit(signal.pthread_kill, main, signal.SIGUSR1)
            layer.receive(["a"], **WAIT)
        layer.send("a", {"n": 1})
        self.assertEqual(layer.receive(["a"], **WAIT), ("a", {"n": 1}))

    @cites("CL-24", "A reader whose event loop was closed")
    def test_a_closed_loop_does_not_keep_a_message(self):
        layer = self.make_layer()
        for close in (True, False):
            with self.subTest(close=close):
                loop = asyncio.new_event_loop()
                # Python tells of the task that never ends; it is meant here.
                loop.set_exception_handler(lambda loop, context: None)
                task = loop.create_task(layer.areceive(["a"], block=True))
                for _ in range(3):
                    loop.run_until_complete(asyncio.sleep(0))
                if close:
                    loop.close()
                layer.send("a", {"n": 1})
                pair = layer.receive(["a"], **WAIT)
                self.assertEqual(pair, ("a", {"n": 1}))
                if not close:
                    task.cancel()
                    loop.run_until_complete(asyncio.wait([task]))
                    loop.run_until_complete(loop.shutdown_default_executor())
                    loop.close()

    @cites("CL-24", "must not keep messages from other readers")
    def test_a_reader_behind_a_closed_loop_is_woken(self):
        layer = self.make_layer()
        pool = self.pool(1)
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)
        task = loop.create_task(layer.areceive(["a"], block=True))
        for _ in range(3):
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        waiting = pool.submit(lambda: layer.receive(["a"], **WAIT))
        layer.send("a", {"n": 1})
        self.assertEqual(waiting.result(WAIT_SECONDS), ("a", {"n": 1}))
        self.assertFalse(task.done())
