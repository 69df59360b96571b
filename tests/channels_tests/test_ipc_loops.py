"""Event loops that listen and work without a thread, on one machine."""

import asyncio
import fcntl
import os
import threading
from contextlib import contextmanager
from unittest import mock

from django.channels.backends.ipc import IPCChannelLayer
from django.channels.backends.lmdb_store import steps
from django.channels.backends.lmdb_store.environment import GATE_FILE
from django.channels.backends.shared import keeper
from django.channels.exceptions import LayerUnavailable
from django.test import SimpleTestCase

from .ipc import IPCTests
from .loop_listening import LoopLayers, LoopListeningTests
from .utils import TIMEOUT, patch_for


class IPCLayers(IPCTests):
    def make_layer(self):
        layer = IPCChannelLayer(self.path)
        self.addCleanup(layer.close)
        return layer


class ListeningTests(LoopListeningTests, IPCLayers, SimpleTestCase):
    pass


class WritingTests(LoopLayers, IPCLayers, SimpleTestCase):
    """Calls on a loop, which needs a thread only while others write."""

    def setUp(self):
        super().setUp()
        # No keeper writes while a loop does.
        patch_for(self, keeper, "RENEWAL_SECONDS", 2 * TIMEOUT)

    @contextmanager
    def others_write(self):
        """Be another process that stands still in the middle of a transaction."""
        directory = self.layer._store._environment.directory
        gate = os.open(os.path.join(directory, GATE_FILE), os.O_RDWR)
        try:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield
        finally:
            os.close(gate)

    @contextmanager
    def another_thread_writes(self):
        """Have another thread hold the file."""
        lock = self.layer._store._environment._lock
        held, go_on = threading.Event(), threading.Event()

        def hold():
            with lock:
                held.set()
                go_on.wait(TIMEOUT)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(TIMEOUT)
        try:
            yield
        finally:
            go_on.set()
            thread.join(TIMEOUT)

    async def claim(self):
        """Have the layer know that the inbox is its own."""
        self.name = await self.layer.anew_channel("in!")
        await self.layer.agroup_add("group", self.name)
        await self.layer.asend(self.name, {"n": 0})
        self.assertEqual(await self.receive(), 0)

    async def receive(self):
        name, message = await self.layer.areceive(["in!"], True, TIMEOUT)
        self.assertEqual(name, self.name)
        return message["n"]

    def no_thread(self):
        """Have a call fail that is made in a thread."""
        error = AssertionError("A call was made in a thread.")
        return mock.patch.object(self.layer._courier, "_submit", side_effect=error)

    def test_no_thread_is_needed_while_nobody_else_writes(self):
        async def main():
            await self.claim()
            with self.no_thread():
                for n in range(3):
                    await self.layer.asend(self.name, {"n": n})
                    self.assertEqual(await self.receive(), n)
                    await self.layer.asend_group("group", {"n": n})
                    self.assertEqual(await self.receive(), n)

        asyncio.run(main())

    def test_no_thread_is_needed_after_a_receive_that_needed_one(self):
        courier, reader = self.layer._courier, self.layer._reader
        goes_on = threading.Event()
        work = courier._work

        def work_and_stay(calls):
            work(calls)
            goes_on.wait(TIMEOUT)

        async def main():
            await self.claim()
            for n in (1, 2):
                await self.layer.asend(self.name, {"n": n})
            with mock.patch.object(courier, "_work", work_and_stay):
                with mock.patch.object(reader, "_take_at_once", return_value=None):
                    self.assertEqual(await self.receive(), 1)
                try:
                    with self.no_thread():
                        self.assertEqual(await self.receive(), 2)
                finally:
                    goes_on.set()

        asyncio.run(main())

    def test_a_loop_goes_on_while_another_process_writes(self):
        asyncio.run(self.go_on_while(self.others_write))

    def test_a_loop_goes_on_while_another_thread_writes(self):
        asyncio.run(self.go_on_while(self.another_thread_writes))

    async def go_on_while(self, writing):
        await self.claim()
        await self.layer.asend(self.name, {"n": 1})
        with writing():
            tasks = [
                asyncio.create_task(task)
                for task in (
                    self.receive(),
                    self.layer.asend("normal", {"n": 2}),
                    self.layer.asend_group("group", {"n": 3}),
                )
            ]
            # Each has begun, in a thread that waits.
            await self.until(lambda: self.layer._courier._open == 3)
            self.assertEqual([task.done() for task in tasks], [False] * 3)
        self.assertEqual((await asyncio.gather(*tasks))[0], 1)
        self.assertEqual(await self.receive(), 3)
        pair = await self.layer.areceive(["normal"], True, TIMEOUT)
        self.assertEqual(pair, ("normal", {"n": 2}))

    def test_many_messages_are_for_a_thread(self):
        patch_for(self, steps, "AT_ONCE_MESSAGES", 2)

        async def main():
            await self.claim()
            for name in "abc":
                await self.layer.agroup_add("many", name)
            courier = self.layer._courier
            for some in (
                self.layer.asend_batch([(self.name, {"n": n}) for n in range(3)]),
                self.layer.areceive(["in!"], True, TIMEOUT),
                self.layer.asend_group("many", {"n": 4}),
                self.layer.asend("a", {"text": "x" * steps.AT_ONCE_BYTES}),
            ):
                with mock.patch.object(courier, "_submit", wraps=courier._submit) as s:
                    await some
                s.assert_called()

        asyncio.run(main())
        self.assertEqual(len(self.layer.receive_batch(["in!"], 9)), 2)
        self.assertEqual(len(self.layer.receive_batch(["a", "b", "c"], 9)), 4)

    def test_a_loop_receives_from_a_full_file(self):
        path = os.path.join(self.path, "small")
        layer = self.layer = IPCChannelLayer(path, size=2**20, capacity=10_000)
        self.addCleanup(layer.close)

        async def main():
            await self.claim()
            sent = received = 0
            for size in (40_000, 20_000, 10_000, 5000, 1000, 1):
                with self.assertRaisesMessage(LayerUnavailable, "is full"):
                    while True:
                        await layer.asend(self.name, {"text": "x" * size})
                        sent += 1
            with self.no_thread():
                while await layer.areceive(["in!"], True, TIMEOUT):
                    received += 1
                    if received == sent:
                        break

        asyncio.run(main())

    def test_who_is_gone_is_buried_in_a_thread(self):
        own_store = self.layer._store
        clean_up, threads = own_store._clean_up, []

        def note(*args):
            threads.append(threading.current_thread())
            clean_up(*args)

        async def main():
            await self.claim()
            # Its place in the line stays.
            self.assertEqual(await self.other.areceive(["a"], True, 0.01), (None, None))
            ringer = own_store._environment.ringer
            with mock.patch.object(ringer, "ring", return_value=False):
                with mock.patch.object(own_store, "_clean_up", note):
                    await self.layer.asend("a", {"n": 1})
            self.assertNotEqual(threads, [])
            self.assertNotIn(threading.current_thread(), threads)

        asyncio.run(main())
        pair = self.layer.receive(["a"], True, TIMEOUT)
        self.assertEqual(pair, ("a", {"n": 1}))

    def test_changes_of_groups_are_read_in_a_thread(self):
        async def main():
            await self.claim()
            other = await self.layer.anew_channel("in!")
            task = await self.begin("in!")
            await self.other.agroup_add("second", other)
            await self.other.asend_group("second", {"n": 1})
            self.assertEqual(await task, (other, {"n": 1}))

        asyncio.run(main())
