"""What a forked child finds."""

import asyncio
import os
import select
import threading
import warnings
from unittest import skipUnless

from .base import WAIT_SECONDS, ConformanceBase, cites

WAIT = {"block": True, "timeout": WAIT_SECONDS}


@skipUnless(hasattr(os, "fork"), "Processes are not forked here.")
class ForkTests(ConformanceBase):
    def fork(self, function):
        """Start ``function`` in a child; return a callable for what it returns."""
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # Newer Pythons warn where other threads run, which is the point.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            # The child: nothing of the test runner may go on in it.
            try:
                os.write(writing, repr(function()).encode())
            except BaseException as error:
                os.write(writing, f"raised {error!r}".encode())
            finally:
                os._exit(0)
        os.close(writing)
        self.addCleanup(os.close, reading)

        def result():
            ready, _, _ = select.select([reading], [], [], 2 * WAIT_SECONDS)
            answer = os.read(reading, 65536).decode() if ready else "hangs"
            if not ready:
                os.kill(pid, 9)
            os.waitpid(pid, 0)
            return answer

        return result

    def use(self, layer):
        """Use all there is, and return what came, all of it as it was sent."""
        layer.send("child", {"n": 1})
        name = layer.new_channel("child!")
        received = [self.receive_waiting(layer, ["child"])[1]]
        pool = threading.Thread(target=layer.send, args=(name, {"n": 2}))
        pool.start()
        received.append(layer.receive(["child!"], **WAIT)[1])
        pool.join()

        async def main():
            receiving = asyncio.create_task(layer.areceive(["child"], **WAIT))
            await asyncio.sleep(0)
            await layer.asend("child", {"n": 3})
            return (await receiving)[1]

        received.append(asyncio.run(main()))
        return [message["n"] for message in received]

    @cites("CL-49", "it must work, sync and async")
    def test_a_layer_works_in_a_forked_child(self):
        layer = self.make_layer()
        self.assertEqual(self.use(layer), [1, 2, 3])
        self.assertEqual(self.fork(lambda: self.use(layer))(), "[1, 2, 3]")
        self.assertEqual(self.use(layer), [1, 2, 3])

    @cites("CL-49", "no message of the parent is received twice")
    @cites("CL-49", "A layer that spans no processes is empty there.")
    def test_a_message_of_the_parent_is_received_by_one_of_them(self):
        layer = self.make_layer()
        for n in range(10):
            layer.send("a", {"n": n})
        child = self.fork(lambda: len(self.receive_all(layer, ["a"])))
        count = len(self.receive_all(layer, ["a"]))
        other = int(child())
        self.assertEqual(count + other, 10)
        if not layer.spans_processes:
            self.assertEqual(other, 0)

    @cites("CL-49", "leave the parent's untouched")
    def test_a_child_leaves_the_parents_groups(self):
        layer = self.make_layer()
        self.require(layer, "groups")
        name = layer.new_channel("inbox!")
        layer.group_add("group", name)

        def work():
            layer.close()
            layer.group_add("group", layer.new_channel("child!"))

        self.assertEqual(self.fork(work)(), "None")
        layer.send_group("group", {"n": 1})
        self.assertEqual(self.receive_waiting(layer, ["inbox!"]), (name, {"n": 1}))

    @cites("CL-49", "also while other threads use the layer")
    def test_a_fork_beside_busy_threads_leaves_no_lock_behind(self):
        layer = self.make_layer()
        pool = self.pool(3)
        end = threading.Event()

        def work(name):
            while not end.is_set():
                layer.send(name, {})
                layer.receive([name])

        def wait():
            while not end.is_set():
                layer.receive(["quiet"], block=True, timeout=0.001)

        busy = [pool.submit(work, "a"), pool.submit(work, "b"), pool.submit(wait)]
        try:
            for _ in range(5):
                self.assertEqual(self.fork(lambda: self.use(layer))(), "[1, 2, 3]")
        finally:
            end.set()
        for future in busy:
            future.result(WAIT_SECONDS)
