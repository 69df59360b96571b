"""What a forked child finds."""

import os
import threading
from unittest import skipUnless

from . import work
from .base import WAIT_SECONDS, ConformanceBase, cites


@skipUnless(hasattr(os, "fork"), "Processes are not forked here.")
class ForkTests(ConformanceBase):
    @cites("CL-49", "it must work, sync and async")
    def test_a_layer_works_in_a_forked_child(self):
        layer = self.make_layer()
        self.assertEqual(work.use(layer), [1, 2, 3])
        self.assertEqual(self.in_fork(layer, work.use)(), [1, 2, 3])
        self.assertEqual(work.use(layer), [1, 2, 3])

    @cites("CL-49", "no message of the parent is received twice")
    @cites("CL-49", "A layer that spans no processes is empty there.")
    def test_a_message_of_the_parent_is_received_by_one_of_them(self):
        layer = self.make_layer(capacity=10)
        for n in range(10):
            layer.send("a", {"n": n})
        child = self.in_fork(layer, work.drain, ["a"])
        count = len(self.receive_all(layer, ["a"]))
        other = len(child())
        self.assertEqual(count + other, 10)
        if not layer.spans_processes:
            self.assertEqual(other, 0)

    @cites("CL-49", "leave the parent's untouched")
    def test_a_child_leaves_the_parents_groups(self):
        layer = self.make_layer()
        self.require(layer, "groups")
        name = layer.new_channel("inbox!")
        layer.group_add("group", name)

        def close_and_add(layer):
            layer.close()
            layer.group_add("group", layer.new_channel("child!"))

        self.in_fork(layer, close_and_add)()
        layer.send_group("group", {"n": 1})
        self.assertEqual(self.receive_waiting(layer, ["inbox!"]), (name, {"n": 1}))

    @cites("CL-49", "no message of the parent is received twice")
    def test_what_the_parent_holds_of_an_inbox_stays_with_it(self):
        # A layer may have taken all of them from its store for the first member.
        layer = self.make_layer()
        self.require(layer, "groups")
        names = [layer.new_channel("inbox!") for _ in range(4)]
        for name in names:
            layer.group_add("group", name)
        layer.send_group("group", {})
        received = [layer.receive(["inbox!"])[0]]
        inherited = self.in_fork(layer, work.drain, ["inbox!"])()
        received += [name for name, _ in inherited]
        while (name := layer.receive(["inbox!"])[0]) is not None:
            received.append(name)
        self.assertEqual(sorted(received), sorted(names))

    @cites("CL-49", "also while other threads use the layer")
    def test_a_fork_beside_busy_threads_leaves_no_lock_behind(self):
        layer = self.make_layer()
        pool = self.pool(4)
        end = threading.Event()

        def exchange(name):
            while not end.is_set():
                layer.send(name, {})
                layer.receive([name])

        def wait():
            while not end.is_set():
                layer.receive(["quiet", "in!"], block=True, timeout=0.001)

        async def await_():
            while not end.is_set():
                await layer.asend("c", {})
                await layer.areceive(["c"], block=True, timeout=0.001)

        busy = [pool.submit(exchange, "a"), pool.submit(exchange, "b")]
        busy += [pool.submit(wait), pool.submit(self.run_async, await_)]
        try:
            for _ in range(5):
                self.assertEqual(self.in_fork(layer, work.use)(), [1, 2, 3])
        finally:
            end.set()
        for future in busy:
            future.result(WAIT_SECONDS)
