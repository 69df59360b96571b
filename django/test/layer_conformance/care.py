"""Statistics, flushing, closing, describing, and what is gone."""

import asyncio

from django.core.checks import CheckMessage

from .base import EXPIRY, WAIT_SECONDS, ConformanceBase, cites
from .forms import both_forms

KEYS = {
    "messages_count",
    "messages_count_per_second",
    "messages_pending",
    "messages_max_age",
    "channel_full_count",
    "channel_full_count_per_second",
    "delivered_count",
    "dropped_count",
    "expired_count",
}


class StatisticsTests(ConformanceBase):
    def assertCounts(self, layer, channel=None, **expected):
        statistics = layer.statistics(channel)
        sums = ("delivered_count", "dropped_count", "expired_count")
        total = sum(statistics[key] for key in sums) + statistics["messages_pending"]
        self.assertEqual(statistics["messages_count"], total)
        actual = {key: statistics[key] for key in expected}
        self.assertEqual(actual, expected)

    @cites("CL-44", "must return a dict with the keys")
    @both_forms("statistics", capacity=2)
    def test_statistics_have_all_keys(self, layer):
        layer.send("a", {})
        for channel in (None, "a", "unknown", "inbox!", "inbox!a", "body?b"):
            with self.subTest(channel=channel):
                statistics = layer.statistics(channel)
                self.assertEqual(set(statistics), KEYS)
                for value in statistics.values():
                    self.assertIsInstance(value, (int, float))
                    self.assertGreaterEqual(value, 0)

    @cites("CL-44", "for a process-specific channel are those of its inbox")
    @cites("CL-45", "at any time")
    @both_forms("statistics", alone=True, capacity=3)
    def test_sent_received_and_refused_messages_are_counted(self, layer):
        layer.send("inbox!a", {})
        layer.send("inbox!b", {})
        layer.receive(["inbox!"])
        layer.send_batch([("inbox!a", {}), ("inbox!a", {}), ("inbox!a", {})])
        layer.send("other", {})
        counts = {"delivered_count": 1, "messages_pending": 3, "channel_full_count": 1}
        for channel in ("inbox!", "inbox!a", "inbox!z"):
            self.assertCounts(layer, channel, messages_count=4, **counts)
        counts["messages_pending"] = 4
        self.assertCounts(layer, messages_count=5, **counts)
        self.assertCounts(layer, "other", messages_count=1, delivered_count=0)

    @cites("CL-45", "each message of a batch that is refused counts")
    @both_forms("statistics", alone=True, capacity=2)
    def test_each_refused_message_of_a_batch_is_counted(self, layer):
        for name in ("normal", "single?x", "inbox!a"):
            batch = [(name, {"n": n}) for n in range(5)]
            self.assertEqual(layer.send_batch(batch)[:2], [None, None])
            self.assertCounts(
                layer, name, messages_count=2, messages_pending=2, channel_full_count=3
            )

    @cites("CL-44", "messages_max_age (seconds)")
    @both_forms("statistics", alone=True)
    def test_the_age_is_that_of_the_oldest_message(self, layer):
        self.assertEqual(layer.statistics("a")["messages_max_age"], 0)
        layer.send("a", {})
        self.pass_time(layer.layer, EXPIRY)
        layer.send("a", {})
        layer.send("b", {})
        for channel in ("a", None):
            age = layer.statistics(channel)["messages_max_age"]
            self.assertGreaterEqual(age, 0.9 * EXPIRY)
            self.assertLess(age, WAIT_SECONDS)
        layer.receive(["a"])
        layer.receive(["a"])
        self.assertEqual(layer.statistics("a")["messages_max_age"], 0)

    @cites("CL-45", "A refused send counts in channel_full_count only")
    @both_forms("statistics", alone=True, capacity=1, expiry=EXPIRY)
    def test_expired_messages_are_counted(self, layer):
        taken = 0
        for _ in range(2):
            taken += self.fill(layer, "a")
            self.pass_time(layer.layer, EXPIRY)
        for channel in ("a", None):
            self.assertCounts(
                layer,
                channel,
                messages_count=taken,
                expired_count=taken,
                messages_pending=0,
                channel_full_count=2,
            )

    def add_members(self, layer):
        self.require(layer, "groups")
        for name in ("inbox!a", "inbox!b", "inbox!c", "normal"):
            layer.group_add("group", name)

    @cites("CL-45", "A message to a group counts once per member.")
    @both_forms("statistics", alone=True)
    def test_group_messages_are_counted_once_per_member(self, layer):
        self.add_members(layer)
        layer.send_group("group", {})
        self.assertCounts(layer, "normal", messages_count=1, messages_pending=1)
        # From the first receive on, every layer has counted the members.
        layer.receive(["inbox!"])
        counts = {"messages_count": 3, "delivered_count": 1, "messages_pending": 2}
        self.assertCounts(layer, "inbox!", **counts)
        layer.send_group("group", {})
        self.receive_all(layer, ["inbox!"])
        self.assertCounts(layer, "inbox!", messages_count=6, delivered_count=6)
        self.assertCounts(
            layer, messages_count=8, delivered_count=6, messages_pending=2
        )

    @cites("CL-45", "what an inbox has no room for counts once until its process")
    @cites("CL-45", "and in dropped_count once for each member")
    @both_forms("statistics", alone=True, capacity=1)
    def test_missed_group_messages_are_counted_once_per_member(self, layer):
        self.add_members(layer)
        for n in range(3):
            layer.send_group("group", {"n": n})
            # Whatever is counted already, nothing is left over.
            self.assertCounts(layer, "inbox!")
            self.assertCounts(layer)
        self.assertEqual(self.receive_all(layer, ["inbox!"]), [{"n": 0}] * 3)
        self.assertEqual(self.receive_all(layer, ["normal"]), [{"n": 0}])
        self.assertCounts(
            layer,
            "inbox!",
            messages_count=9,
            delivered_count=3,
            dropped_count=6,
            channel_full_count=2,
        )
        self.assertCounts(
            layer, messages_count=12, dropped_count=8, channel_full_count=4
        )

    @cites("CL-45", "must be the sum of delivered_count, dropped_count")
    @both_forms("statistics", alone=True)
    def test_messages_of_closed_channels_count_as_dropped(self, layer):
        names = [layer.new_channel("made!") for _ in range(2)]
        for name in names * 2:
            layer.send(name, {})
        layer.close_channel(names[0])
        self.assertCounts(layer, "made!", dropped_count=2, messages_pending=2)
        layer.send(names[0], {})
        self.assertCounts(layer, "made!", dropped_count=3, messages_count=5)
        self.receive_all(layer, ["made!"])
        layer.send("body?a", {})
        layer.close_channel("body?a")
        self.assertCounts(layer, messages_count=6, delivered_count=2, dropped_count=4)

    @cites("CL-45", "must be the sum of delivered_count, dropped_count")
    @both_forms("statistics", alone=True)
    def test_group_messages_of_closed_channels_count_as_dropped(self, layer):
        self.require(layer, "groups")
        names = [layer.new_channel("made!") for _ in range(4)]
        for name in names:
            layer.group_add("group", name)
        layer.send_group("group", {})
        first, _ = layer.receive(["made!"])
        for name in [name for name in names if name != first][:2]:
            layer.close_channel(name)
        self.assertCounts(
            layer, "made!", dropped_count=2, delivered_count=1, messages_pending=1
        )
        self.assertEqual(len(layer.receive_batch(["made!"], 10)), 1)
        self.assertEmpty(layer, "made!")
        self.assertCounts(layer, messages_count=4, delivered_count=2, dropped_count=2)

    @cites("CL-45", "must be the sum of delivered_count, dropped_count")
    @both_forms("statistics", alone=True)
    def test_what_is_put_back_and_flushed_is_accounted_for(self, layer):
        layer.send("a", {})
        layer.put_back([layer.receive(["a"])])
        self.assertCounts(layer, "a", messages_pending=1)
        self.require(layer, "flush")
        layer.flush()
        self.assertCounts(layer, "a", messages_pending=0, dropped_count=1)

    @cites("CL-51", "each with the statistics of statistics(name)")
    @both_forms("statistics")
    def test_queues_are_listed_with_their_statistics(self, layer):
        for name, count in (("a", 3), ("body?b", 2), ("inbox!c", 1), ("inbox!d", 1)):
            for _ in range(count):
                layer.send(name, {})
        layer.receive(["a"])
        queues = layer.queues()
        self.assertLessEqual({"a", "body?b", "inbox!"}, set(queues))
        self.assertNotIn("inbox!c", queues)
        for name, pending in (("a", 2), ("body?b", 2), ("inbox!", 2)):
            queue = queues[name]
            self.assertEqual(set(queue), KEYS | {"readers"})
            self.assertEqual(queue.pop("readers"), 0)
            self.assertEqual(queue["messages_pending"], pending)
            statistics = layer.statistics(name)
            for key in ("messages_count", "delivered_count", "messages_pending"):
                self.assertEqual(queue[key], statistics[key])

    @cites("CL-51", "how many calls wait for a message there")
    def test_queues_tell_who_waits(self):
        layer = self.make_layer()
        self.require(layer, "statistics")
        pool = self.pool(2)
        waiting = [
            pool.submit(layer.receive, ["a", "in!"], True, WAIT_SECONDS)
            for _ in range(2)
        ]
        self.until_reader(layer, "a")
        queues = layer.queues()
        for name in ("a", "in!"):
            self.assertIn(queues[name]["readers"], (1, 2))
        for name in ("a", "in!b"):
            layer.send(name, {})
        for future in waiting:
            future.result(WAIT_SECONDS)

    @cites("CL-52", "must return a dict of the names of all groups that have members")
    @both_forms("groups")
    def test_groups_are_listed_with_how_many_are_in_them(self, layer):
        self.assertEqual(layer.groups(), {})
        for name in ("in!a", "in!b", "out!c", "normal", "body?d"):
            layer.group_add("one", name)
        layer.group_add("two", "normal")
        one = {"inboxes": 2, "channels": 2}
        self.assertEqual(
            layer.groups(), {"one": one, "two": {"inboxes": 0, "channels": 1}}
        )
        layer.group_discard("two", "normal")
        layer.group_discard("one", "in!a")
        self.receive_all(layer, ["in!", "out!"])
        self.assertEqual(layer.groups(), {"one": one})
        layer.group_discard("one", "in!b")
        self.receive_all(layer, ["in!", "out!"])
        one["inboxes"] = 1
        self.assertEqual(layer.groups(), {"one": one})

    @cites("CL-52", "groups that have members")
    @both_forms("groups", alone=True, group_expiry=EXPIRY)
    def test_groups_whose_members_expired_are_not_listed(self, layer):
        layer.group_add("one", "normal")
        layer.group_add("two", "normal")
        layer.group_add("two", "in!a")
        self.pass_time(layer.layer, EXPIRY)
        self.assertEqual(layer.groups(), {"two": {"inboxes": 1, "channels": 0}})


class CareTests(ConformanceBase):
    @cites("CL-53", "must return a list of messages of django.core.checks")
    @both_forms()
    def test_a_layer_checks_itself(self, layer):
        for reach in (False, True):
            messages = layer.check(reach)
            self.assertIsInstance(messages, list)
            for message in messages:
                self.assertIsInstance(message, CheckMessage)

    @cites("CL-46", "must drop all messages and groups")
    @both_forms("flush", alone=True)
    def test_flush_drops_messages_and_groups(self, layer):
        names = ["a", "body?b", "inbox!c", layer.new_channel("made!")]
        for name in names:
            layer.send(name, {})
            if "groups" in layer.extensions:
                layer.group_add("group", name)
        layer.flush()
        if "groups" in layer.extensions:
            layer.send_group("group", {})
        self.assertEmpty(layer, "a", "body?b", "inbox!", "made!")

    @cites("CL-46", "names that new_channel() gave stay open")
    @both_forms("flush", alone=True)
    def test_a_new_channel_works_after_flush(self, layer):
        name = layer.new_channel("inbox!")
        layer.flush()
        layer.send(name, {"n": 1})
        self.assertEqual(layer.receive(["inbox!"]), (name, {"n": 1}))

    @cites("CL-47", "Closing twice is closing once")
    @cites("CL-47", "using the layer opens it again")
    @both_forms(alone=True)
    def test_a_closed_layer_opens_again(self, layer):
        layer.close()
        layer.close()
        layer.send("a", {"n": 1})
        layer.close()
        self.assertEqual(self.receive_waiting(layer, ["a"]), ("a", {"n": 1}))
        layer.close()
        layer.close()

    @cites("CL-47", "must end waiting receives as a timeout does")
    def test_closing_ends_the_wait_of_a_thread(self):
        layer = self.make_layer()
        pool = self.pool(2)
        futures = [
            pool.submit(layer.receive, ["a"], True),
            pool.submit(layer.receive_batch, ["b", "c!"], 5, True),
        ]
        # A receive that begins after a close waits for the next one.
        while not all(future.done() for future in futures):
            layer.close()
        self.assertEqual(futures[0].result(), (None, None))
        self.assertEqual(futures[1].result(), [])

    @cites("CL-47", "must end waiting receives as a timeout does")
    def test_closing_ends_the_wait_of_a_task(self):
        layer = self.make_layer()

        async def main():
            receiving = asyncio.create_task(layer.areceive(["a"], True))
            batch = asyncio.create_task(layer.areceive_batch(["b", "c!"], 5, True))
            while not (receiving.done() and batch.done()):
                await asyncio.sleep(0)
                await layer.aclose()
            self.assertEqual(await receiving, (None, None))
            self.assertEqual(await batch, [])

        self.run_async(main)

    @cites("CL-48", "must return a list of lines of text")
    @both_forms()
    def test_a_layer_describes_itself(self, layer):
        lines = layer.describe()
        self.assertIsInstance(lines, list)
        self.assertTrue(lines)
        for line in lines:
            self.assertIsInstance(line, str)
            self.assertNotIn("\n", line)

    @cites("CL-50", "must raise a TypeError that says what to use")
    def test_methods_that_are_gone_say_what_to_use(self):
        layer = self.make_layer()
        with self.assertRaisesMessage(TypeError, "Use receive()."):
            layer.receive_many(["a"])
        with self.assertRaisesMessage(TypeError, "Use receive()."):
            layer.receive_many(["a"], block=True)
        with self.assertRaisesMessage(TypeError, "send_group()"):
            layer.group_channels("group")

    @cites("CL-4", "must say what it is by attributes")
    def test_a_layer_says_what_it_is(self):
        layer = self.make_layer()
        self.assertTrue(layer.supports_sync or layer.supports_async)
        self.assertIn(layer.spans_processes, (True, False))
        self.assertLessEqual(set(layer.extensions), {"groups", "flush", "statistics"})
        for error in (layer.ChannelFull, layer.MessageTooLarge):
            self.assertTrue(issubclass(error, Exception))
