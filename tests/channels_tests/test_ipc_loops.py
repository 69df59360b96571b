"""Event loops that listen and work without a thread, on one machine."""

import asyncio
import fcntl
import os
import threading
from contextlib import contextmanager
from unittest import mock

from django.channels.backends.ipc import IPCChannelLayer
from django.channels.backends.lmdb_store.environment import GATE_FILE
from django.test import SimpleTestCase

from .ipc import IPCTests
from .loop_listening import LoopLayers, LoopListeningTests
from .utils import TIMEOUT


class IPCLayers(IPCTests):
    def make_layer(self):
        layer = IPCChannelLayer(self.path)
        self.addCleanup(layer.close)
        return layer


class ListeningTests(LoopListeningTests, IPCLayers, SimpleTestCase):
    pass


class WritingTests(LoopLayers, IPCLayers, SimpleTestCase):
    """Calls on a loop, which needs a thread only while others write."""

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

    def test_no_thread_is_needed_while_nobody_else_writes(self):
        async def main():
            await self.claim()
            with mock.patch.object(self.layer._courier, "_submit") as submit:
                for n in range(3):
                    await self.layer.asend(self.name, {"n": n})
                    self.assertEqual(await self.receive(), n)
                    await self.layer.asend_group("group", {"n": n})
                    self.assertEqual(await self.receive(), n)
            submit.assert_not_called()

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

    def test_who_is_gone_is_buried_in_a_thread(self):
        store = self.layer._store
        clean_up, threads = store._clean_up, []

        def note(*args):
            threads.append(threading.current_thread())
            clean_up(*args)

        async def main():
            await self.claim()
            # Its place in the line stays.
            self.assertEqual(await self.other.areceive(["a"], True, 0.01), (None, None))
            ringer = store._environment.ringer
            with mock.patch.object(ringer, "ring", return_value=False):
                with mock.patch.object(store, "_clean_up", note):
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
