"""Event loops that listen without a thread, on any layer that can."""

import asyncio
import errno
import os
import threading
import time
from unittest import mock

from django.channels.backends.shared import ears
from django.channels.backends.shared.ears import Ear

from .utils import TIMEOUT

# How often a test is made whose point others of the process may miss.
TRIES = 5


class LoopLayers:
    """For a test case that defines make_layer(): two layers on one store."""

    def setUp(self):
        super().setUp()
        self.layer, self.other = self.make_layer(), self.make_layer()

    async def until(self, is_so):
        """Return as soon as something is so that nobody tells about."""
        until = time.monotonic() + TIMEOUT
        while not is_so():
            self.assertLess(time.monotonic(), until)
            await asyncio.sleep(0.01)

    def listens(self, loop, layer=None):
        """Return whether a loop listens."""
        leader = (layer or self.layer)._owner.bell._leader
        return isinstance(leader, Ear) and leader.loop is loop

    async def begin(self, *names):
        """Return a task that receives, as soon as its loop listens for it."""
        names = names or (self.layer.new_channel("in!")[:3],)
        task = asyncio.create_task(self.layer.areceive(names, True, TIMEOUT))
        loop = asyncio.get_running_loop()
        await self.until(lambda: self.listens(loop))
        return task


class LoopListeningTests(LoopLayers):
    """What is so on each layer whose store can be heard by a loop."""

    def test_a_loop_listens_where_only_its_tasks_wait(self):
        async def main():
            for name, key in (("in!x", "in!"), ("normal", "normal")):
                task = await self.begin(key)
                await self.other.asend(name, {"n": 1})
                self.assertEqual(await task, (name, {"n": 1}))

        asyncio.run(main())

    def test_members_of_groups_come_and_go_while_a_loop_listens(self):
        async def main():
            name = await self.layer.anew_channel("in!")
            for n in range(3):
                task = await self.begin("in!")
                await self.other.agroup_add("group", name)
                await self.other.asend_group("group", {"n": n})
                self.assertEqual(await task, (name, {"n": n}))
                await self.other.agroup_discard("group", name)
                await self.other.asend_group("group", {"gone": 1})

        asyncio.run(main())

    def test_names_are_closed_without_a_thread_while_their_reader_is_at_work(self):
        layer = self.layer

        async def close(name, closing):
            await closing.wait()
            await layer.aclose_channel(name)

        async def read(closing):
            # As the reader of the replies to connections does.
            await layer.areceive(["in!"], True, TIMEOUT)
            closing.set()
            await asyncio.sleep(0)
            return await layer.areceive(["in!"], True, TIMEOUT)

        async def main():
            names = [await layer.anew_channel("in!") for _ in range(9)]
            closing, loop = asyncio.Event(), asyncio.get_running_loop()
            reader = asyncio.create_task(read(closing))
            tasks = [asyncio.create_task(close(name, closing)) for name in names[1:]]
            await self.until(lambda: self.listens(loop))
            with mock.patch.object(layer._closer, "close") as look:
                await self.other.asend(names[0], {"n": 1})
                await asyncio.gather(*tasks)
            if look.called:
                reader.cancel()
                return False
            for n, name in enumerate(reversed(names)):
                await self.other.asend(name, {"n": n})
            self.assertEqual(await reader, (names[0], {"n": 8}))
            return True

        # The thread that renews the lease may have the inbox just then.
        self.assertTrue(any(asyncio.run(main()) for _ in range(TRIES)))

    def test_a_loop_that_is_busy_keeps_no_thread_waiting(self):
        async def main():
            task = await self.begin("in!")
            results = []

            def receive():
                results.append(self.layer.receive(["normal"], True, TIMEOUT))

            thread = threading.Thread(target=receive)
            thread.start()
            # The loop stands still until the thread has its message.
            self.other.send("normal", {"n": 1})
            thread.join(TIMEOUT)
            self.assertEqual(results, [("normal", {"n": 1})])
            self.other.send("in!x", {"n": 2})
            self.assertEqual(await task, ("in!x", {"n": 2}))

        asyncio.run(main())

    def test_a_loop_that_is_busy_keeps_no_other_loop_waiting(self):
        async def main():
            task = await self.begin("in!")

            def receive():
                return asyncio.run(self.layer.areceive(["normal"], True, TIMEOUT))

            results = []
            thread = threading.Thread(target=lambda: results.append(receive()))
            thread.start()
            self.other.send("normal", {"n": 1})
            thread.join(TIMEOUT)
            self.assertEqual(results, [("normal", {"n": 1})])
            self.assertFalse(task.done())
            self.other.send("in!x", {"n": 2})
            self.assertEqual(await task, ("in!x", {"n": 2}))

        asyncio.run(main())

    def test_what_comes_for_a_loop_that_stopped_is_passed_on(self):
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        # It listened until the loop stopped; the keeper may have noticed that by now.
        task = loop.run_until_complete(self.begin("normal"))
        self.assertFalse(task.done())
        results = []

        def receive():
            results.append(self.other.receive(["normal"], True, TIMEOUT))

        thread = threading.Thread(target=receive)
        thread.start()
        self.make_layer().send("normal", {"n": 1})
        thread.join(TIMEOUT)
        self.assertEqual(results, [("normal", {"n": 1})])
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            loop.run_until_complete(task)

    def test_a_thread_listens_where_a_loop_has_no_descriptor_left(self):
        error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        async def main():
            with mock.patch.object(ears.os, "dup", side_effect=error) as dup:
                task = asyncio.create_task(self.layer.areceive(["in!"], True, TIMEOUT))
                await self.until(lambda: dup.called)
                await self.other.asend("in!x", {"n": 1})
                self.assertEqual(await task, ("in!x", {"n": 1}))

        with self.assertNoLogs("asyncio", "ERROR"):
            asyncio.run(main())

    def test_a_loop_that_was_closed_leaves_its_inbox_to_the_next(self):
        for n in range(3):

            async def main():
                task = await self.begin("in!")
                await self.other.asend("in!x", {"n": n})
                return await task

            self.assertEqual(asyncio.run(main()), ("in!x", {"n": n}))

    def test_another_inbox_is_heard_while_a_loop_listens(self):
        async def main():
            first = await self.begin("a!")
            second = asyncio.create_task(self.layer.areceive(["b!"], True, TIMEOUT))
            await self.other.asend("b!x", {"n": 1})
            self.assertEqual(await second, ("b!x", {"n": 1}))
            await self.other.asend("a!x", {"n": 2})
            self.assertEqual(await first, ("a!x", {"n": 2}))

        asyncio.run(main())
