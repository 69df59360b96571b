"""What several processes do with one store."""

import functools
import os

from . import work
from .base import ConformanceBase, cites


def both_starts(test):
    """Run a test with forked children, and with fresh interpreters."""

    @functools.wraps(test)
    def run(self):
        for start in (self.in_fork, self.in_fresh):
            if start == self.in_fresh or hasattr(os, "fork"):
                with self.subTest(start=start.__name__):
                    test(self, start)

    return run


class SpanningBase(ConformanceBase):
    """Second processes: forked ones and fresh interpreters."""

    def make_spanning(self, **options):
        """Return a layer, or skip the test if it does not span processes."""
        layer = self.make_layer(**options)
        if not layer.spans_processes:
            self.skipTest(f"{type(layer).__name__} spans no processes.")
        return layer

    @property
    def in_child(self):
        """The faster way to start a child that there is here."""
        return self.in_fork if hasattr(os, "fork") else self.in_fresh


class ProcessTests(SpanningBase):
    """Two and more processes on a store: forked ones and fresh interpreters."""

    @cites("CL-4", "whether other processes receive what this one sends")
    @both_starts
    def test_another_process_sees_the_same(self, start):
        layer = self.make_spanning()
        self.assertEqual(start(layer, work.use)(), [1, 2, 3])
        for name, key in (("a", "a"), ("a?b", "a?b"), ("a!b", "a!")):
            layer.send(name, {"n": 1})
            received = start(layer, work.drain, [key])()
            self.assertEqual(received, [[name, {"n": 1}]])
        self.assertEmpty(layer, "a", "a?b")
        start(layer, work.write, 7, ["a", "in!b"], 2)()
        received = [layer.receive(["a", "in!"]) for _ in range(2)]
        self.assertCountEqual(
            received,
            [("a", {"writer": 7, "n": 0}), ("in!b", {"writer": 7, "n": 1})],
        )

    @cites("CL-19", "whatever number of threads, tasks and processes receive")
    @cites("CL-20", "must be received by a reader of its channel")
    @both_starts
    def test_several_writers_and_readers_in_processes_share_channels(self, start):
        count = 120
        layer = self.make_spanning(capacity=1000)
        channels = ["a", "b?c"]
        readers = [start(layer, work.read, channels)]
        readers += [start(layer, work.aread, channels)]
        writers = [start(layer, work.write, 1, channels, count)]
        writers += [start(layer, work.awrite, 2, channels, count)]
        work.write(layer, 0, channels, count)
        for writer in writers:
            writer()
        # Each of them reads until it gets one; what is left is left here.
        layer.send_batch([("a", work.END)] * len(readers))
        received = [item for reader in readers for item in reader()]
        for name, message in work.drain(layer, channels):
            if message != work.END:
                received.append([name, message["writer"], message["n"]])
        expected = [
            [channels[n % 2], writer, n] for writer in range(3) for n in range(count)
        ]
        self.assertCountEqual(received, expected)

    @cites("CL-51", "or how many processes with such calls")
    def test_another_process_sees_who_waits(self):
        layer = self.make_spanning()
        self.require(layer, "statistics")
        channels = ["a", "a?b", "in!"]
        reader = self.in_child(layer, work.read, channels)
        for name in channels:
            self.until_reader(layer, name)
        layer.send("a", work.END)
        self.assertEqual(reader(), [])

    @cites("CL-25", "must be received in the order in which they were sent")
    def test_each_sender_in_another_process_is_read_in_order(self):
        layer = self.make_spanning(capacity=1000)
        for name, key in (("a?b", "a?b"), ("a!b", "a!")):
            writers = [self.in_child(layer, work.write, w, [name], 100) for w in (1, 2)]
            work.write(layer, 0, [name], 100)
            received = [self.receive_waiting(layer, [key])[1] for _ in range(300)]
            for writer in range(3):
                numbers = [m["n"] for m in received if m["writer"] == writer]
                self.assertEqual(numbers, list(range(100)))
            for writer in writers:
                writer()

    @cites("CL-9", "was never given before, in any process")
    def test_processes_give_different_names(self):
        layer = self.make_spanning()
        for pattern in ("in!", "body?"):
            # They are forked at one point, with the same state of any generator.
            given = [
                self.in_child(layer, work.name_channels, pattern, 50) for _ in range(2)
            ]
            names = work.name_channels(layer, pattern, 50)
            for result in given:
                names += result()
            self.assertEqual(len(set(names)), 150)

    @cites("CL-30", "refuse a message with ChannelFull")
    @cites("CL-31", "on the inbox for process-specific ones, all local parts together")
    def test_processes_share_the_capacity_of_a_channel(self):
        layer = self.make_spanning(capacity=5)
        for name, key in (("a", "a"), ("a?b", "a?b"), ("a!b", "a!")):
            with self.subTest(name=name):
                layer.send(name, {})
                self.assertEqual(self.in_child(layer, work.fill, name)(), 4)
                self.assertEqual(self.fill(layer, name), 0)
                self.assertEqual(len(self.receive_all(layer, [key])), 5)
                errors = self.in_child(layer, work.send_to, [name] * 7, {})()
                self.assertEqual(errors, [None] * 5 + ["ChannelFull"] * 2)

    @cites("CL-29", "where they are received once more")
    def test_what_another_process_puts_back_is_received_once_more(self):
        layer = self.make_spanning()
        for name, key in (("a", "a"), ("a?b", "a?b")):
            layer.send_batch([(name, {"n": n}) for n in range(4)])
            self.assertEqual(self.in_child(layer, work.put_back, [key], 3)(), [])
            numbers = [m["n"] for m in self.receive_all(layer, [key])]
            self.assertCountEqual(numbers, range(4))

    @cites("CL-22", "A message that comes ends the wait of a reader of its channel")
    def test_a_reader_that_left_does_not_keep_a_message(self):
        layer = self.make_spanning()
        for name, key in (("a", "a"), ("a?b", "a?b")):
            child = self.in_child(layer, work.wait_and_leave, [key], "ready")
            self.receive_waiting(layer, ["ready"])
            child()
            reader = self.in_child(layer, work.read, [key])
            layer.send(name, work.END)
            self.assertEqual(reader(), [])


class ProcessGroupTests(SpanningBase):
    """Groups whose members, senders and changes are in several processes."""

    def make_spanning(self, **options):
        layer = super().make_spanning(**options)
        self.require(layer, "groups")
        return layer

    def join(self, start, layer, prefix, count):
        """Start a process with members; return its names and its result."""
        child = start(layer, work.join, "group", prefix, count, "ready")
        return self.receive_waiting(layer, ["ready"])[1]["names"], child

    @cites("CL-39", "must bring the message to each member once")
    @cites("CL-40", "has returned, every send_group() that begins must reach")
    @both_starts
    def test_members_in_several_processes_get_a_message_once(self, start):
        layer = self.make_spanning()
        own = [layer.new_channel("own!") for _ in range(3)]
        for name in own:
            layer.group_add("group", name)
        joined = [self.join(start, layer, f"in{n}!", n + 1) for n in range(2)]
        layer.send_group("group", {"n": 1})
        start(layer, work.change_group, "group", [], [], {"n": 2})()
        for names, child in [*joined, (own, None)]:
            if child is not None:
                layer.send(names[0], work.END)
                received = child()
            else:
                received = work.drain(layer, ["own!"])
            expected = [[name, {"n": n}] for n in (1, 2) for name in names]
            self.assertCountEqual(received, expected)
            self.assertEqual([m["n"] for _, m in received], sorted([1, 2] * len(names)))

    @cites("CL-40", "must reach the channel")
    @cites("CL-40", "has, none does")
    def test_another_process_adds_and_discards_members(self):
        layer = self.make_spanning()
        names = [layer.new_channel("in!") for _ in range(3)]
        changes = ([], names[:2], names[:1]), ([1], names[2:], names[1:2])
        layer.group_add("group", names[0])
        for numbers, added, discarded in changes:
            message = {"n": len(numbers)}
            child = self.in_child(
                layer, work.change_group, "group", added, discarded, message
            )
            child()
        received = [self.receive_waiting(layer, ["in!"]) for _ in range(2)]
        self.assertEqual(received, [(names[1], {"n": 0}), (names[2], {"n": 1})])
        layer.send_group("group", {"n": 2})
        self.assertEqual(layer.receive(["in!"]), (names[2], {"n": 2}))
        self.assertEmpty(layer, "in!")

    @cites("CL-38", "for others it is like any of that inbox, and dropped")
    @cites("CL-38", "It cannot join a group.")
    def test_a_closed_channel_is_closed_for_other_processes(self):
        layer = self.make_spanning(capacity=2)
        closed, open_ = layer.new_channel("in!"), layer.new_channel("in!")
        layer.group_add("group", closed)
        layer.close_channel(closed)
        errors = self.in_child(layer, work.send_to, [closed, open_, open_], {})()
        self.assertEqual(errors[:2], [None, None])
        change = self.in_child(layer, work.change_group, "group", [closed], [], {})
        change()
        received = {name for name, _ in work.drain(layer, ["in!"])}
        self.assertEqual(received, {open_})
        layer.send_group("group", {})
        self.assertEmpty(layer, "in!")

    @cites("CL-37", "So is a name whose inbox another process reads.")
    def test_a_name_of_another_process_is_not_closed(self):
        layer = self.make_spanning()
        name = layer.new_channel("in!")
        self.assertEmpty(layer, "in!")
        layer.send(name, {"n": 1})
        text = self.in_child(layer, work.close_foreign, name)()
        self.assertIn(repr(name), text)
        self.assertEqual(layer.receive(["in!"]), (name, {"n": 1}))

    @cites("CL-46", "must drop all messages and groups")
    def test_another_process_flushes(self):
        layer = self.make_spanning()
        self.require(layer, "flush")
        old, new = layer.new_channel("in!"), layer.new_channel("in!")
        layer.group_add("group", old)
        layer.group_add("group", "normal")
        layer.send_group("group", {"n": 1})
        self.in_child(layer, work.flush)()
        layer.group_add("group", new)
        layer.send_group("group", {"n": 2})
        received = work.drain(layer, ["in!", "normal"])
        self.assertEqual(received, [[new, {"n": 2}]])

    @cites("CL-45", "messages_count must be the sum of")
    @cites("CL-45", "once per inbox until one of them receives it")
    def test_processes_count_alike(self):
        layer = self.make_spanning(capacity=3)
        self.require(layer, "statistics")
        names, child = self.join(self.in_child, layer, "in!", 3)
        for _ in range(2):
            layer.send_group("group", {})
        layer.send(names[0], work.END)
        self.assertEqual(len(child()), 6)
        layer.send_batch([("a", {})] * 4)
        self.assertEqual(self.in_child(layer, work.drain, ["a"])(), [["a", {}]] * 3)
        counts = [layer.statistics(), self.in_child(layer, work.count, None)()]
        for statistics in counts:
            total = sum(
                statistics[f"{key}_count"]
                for key in ("delivered", "dropped", "expired")
            )
            total += statistics["messages_pending"]
            self.assertEqual(statistics["messages_count"], total)
            # The one that told the names, six and the last of the group, three.
            self.assertEqual(statistics["delivered_count"], 1 + 7 + 3)
            self.assertEqual(statistics["channel_full_count"], 1)
