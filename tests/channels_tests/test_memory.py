"""The memory layer: the contract, and what is its own."""

from django.channels.backends.memory import MemoryChannelLayer
from django.channels.backends.memory_store import store
from django.channels.backends.selections import MAX_SELECTIONS
from django.test import SimpleTestCase
from django.test.channel_layers import ChannelLayerConformanceTests


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def make_layer(**options):
    """Return a layer whose time stands still until ``layer.clock`` is moved."""
    layer = MemoryChannelLayer(**options)
    layer.clock = layer._store.clock = Clock()
    return layer


class MemoryConformanceTests(ChannelLayerConformanceTests, SimpleTestCase):
    def get_layer(self, **options):
        return make_layer(**options)

    def pass_time(self, layer, seconds):
        layer.clock.now += seconds


class SweepTests(SimpleTestCase):
    def setUp(self):
        self.layer = make_layer(expiry=60)

    def size(self):
        return len(self.layer._store._queues)

    def pass_time(self, seconds):
        """Let time pass, with calls of somebody who has nothing to do with it."""
        self.layer.clock.now += seconds
        for _ in range(200):
            self.layer.receive(["unrelated"])

    def test_abandoned_single_reader_channels_are_forgotten(self):
        for _ in range(1000):
            self.layer.send(self.layer.new_channel("body?"), {})
        self.assertEqual(self.size(), 1000)
        self.pass_time(61)
        self.assertEqual(self.size(), 0)
        statistics = self.layer.statistics()
        self.assertEqual(statistics["messages_count"], 1000)
        self.assertEqual(statistics["expired_count"], 1000)

    def test_one_call_visits_a_few_channels_only(self):
        for n in range(1000):
            self.layer.send(f"body?{n}", {})
        self.layer.clock.now += 61
        self.layer.send("body?0", {})
        self.assertGreaterEqual(self.size(), 1000 - store.SWEEP_LIMIT)

    def test_a_normal_channel_keeps_its_counters_for_an_hour(self):
        self.layer.send("a", {})
        self.pass_time(61)
        self.assertEqual(self.layer.statistics("a")["expired_count"], 1)
        self.pass_time(61)
        self.assertEqual(self.layer.statistics("a")["expired_count"], 1)
        self.pass_time(store.MEMORY_SECONDS)
        self.assertEqual(self.size(), 0)
        self.assertEqual(self.layer.statistics("a")["expired_count"], 0)
        self.assertEqual(self.layer.statistics()["expired_count"], 1)

    def test_a_channel_in_use_is_not_forgotten(self):
        for _ in range(10):
            self.layer.send("a", {})
            self.layer.receive(["a"])
            self.pass_time(store.MEMORY_SECONDS - 1)
        self.assertEqual(self.layer.statistics("a")["delivered_count"], 10)

    def test_an_inbox_lives_as_long_as_one_of_its_channels(self):
        name = self.layer.new_channel("inbox!")
        self.pass_time(10 * store.MEMORY_SECONDS)
        self.layer.send("inbox!never.made", {})
        self.assertEqual(self.layer.receive(["inbox!"]), (None, None))
        self.layer.close_channel(name)
        for _ in range(3):
            self.pass_time(2 * store.MEMORY_SECONDS)
        self.assertEqual(self.size(), 0)

    def test_closed_channels_leave_nothing(self):
        for _ in range(100):
            name = self.layer.new_channel("inbox!")
            self.layer.group_add("group", name)
            self.layer.close_channel(name)
            name = self.layer.new_channel("body?")
            self.layer.send(name, {})
            self.layer.group_add("group", name)
            self.layer.close_channel(name)
        self.assertEqual(self.size(), 1)
        self.assertEqual(self.layer._store.find("inbox!").open, set())
        self.assertEqual(len(self.layer._store.groups), 0)
        self.assertEqual(self.layer._store.groups._memberships, {})

    def test_abandoned_groups_are_forgotten(self):
        for n in range(100):
            self.layer.group_add(f"group.{n}", f"body?{n}")
            self.layer.group_add(f"group.{n}", f"normal.{n}")
        self.pass_time(86401)
        self.assertEqual(len(self.layer._store.groups), 0)
        self.assertEqual(self.layer._store.groups._memberships, {})
        self.assertEqual(self.layer._store._visits, [])
        self.assertEqual(self.layer._store._planned, set())

    def test_combinations_of_channels_are_remembered_in_bounds(self):
        for n in range(2 * MAX_SELECTIONS):
            self.layer.receive([f"a.{n}", "b"])
        self.assertLessEqual(len(self.layer._selections), MAX_SELECTIONS)


class MemoryTests(SimpleTestCase):
    def test_it_spans_no_processes_and_has_both_forms(self):
        layer = MemoryChannelLayer()
        self.assertTrue(layer.supports_sync and layer.supports_async)
        self.assertFalse(layer.spans_processes)

    def test_a_local_part_that_was_never_made_is_dropped_and_counted(self):
        layer = make_layer()
        layer.send("inbox!guess", {})
        self.assertEqual(layer.receive(["inbox!"]), ("inbox!guess", {}))
        layer.new_channel("inbox!")
        layer.send("inbox!guess", {})
        layer.group_add("group", "inbox!guess")
        layer.send_group("group", {})
        self.assertEqual(layer.receive(["inbox!"]), (None, None))
        self.assertEqual(layer.statistics("inbox!")["dropped_count"], 1)

    def test_the_members_of_a_group_are_collected_once(self):
        layer = make_layer()
        targets = layer._store.groups.targets
        layer.group_add("group", "inbox!a")
        layer.group_add("group", "normal")
        first = targets("group", layer.clock.now)
        layer.group_add("group", "inbox!a")
        layer.group_discard("group", "stranger")
        self.assertIs(targets("group", layer.clock.now), first)
        layer.group_add("group", "inbox!b")
        second = targets("group", layer.clock.now)
        self.assertEqual(
            second, [("inbox!", ("inbox!a", "inbox!b")), ("normal", ("normal",))]
        )
        layer.clock.now += 86400
        third = targets("group", layer.clock.now)
        self.assertEqual(third, [("inbox!", ("inbox!a", "inbox!b"))])

    def test_members_that_come_later_do_not_get_an_earlier_message(self):
        layer = make_layer()
        layer.group_add("group", "inbox!a")
        layer.send_group("group", {"n": 1})
        layer.group_add("group", "inbox!b")
        layer.group_discard("group", "inbox!a")
        self.assertEqual(layer.receive_batch(["inbox!"], 10), [("inbox!a", {"n": 1})])

    def test_a_closed_name_is_dropped_behind_a_full_inbox(self):
        layer = make_layer(capacity=1)
        open_, closed = layer.new_channel("in!"), layer.new_channel("in!")
        layer.close_channel(closed)
        results = layer.send_batch([(n, {}) for n in (open_, open_, closed, open_)])
        refused = [result and type(result).__name__ for result in results]
        self.assertEqual(refused, [None, "ChannelFull", None, "ChannelFull"])

    def test_what_is_put_back_goes_to_the_head_whatever_the_capacity(self):
        layer = make_layer(capacity=2)
        layer.send_batch([("a", {"n": n}) for n in range(2)])
        pairs = layer.receive_batch(["a"], 10)
        layer.send_batch([("a", {"n": n}) for n in range(2, 4)])
        self.assertEqual(layer.put_back(pairs), [None, None])
        received = [m["n"] for _, m in layer.receive_batch(["a"], 10)]
        self.assertEqual(received, [0, 1, 2, 3])

    def test_what_is_put_back_does_not_outlast_what_is_behind_it(self):
        layer = make_layer(capacity=1, expiry=60)
        layer.send("a", {"n": 1})
        pairs = layer.receive_batch(["a"], 1)
        layer.send("a", {"n": 2})
        layer.clock.now += 59
        layer.put_back(pairs)
        layer.clock.now += 1
        layer.send("a", {"n": 3})
        self.assertEqual(layer.receive(["a"]), ("a", {"n": 3}))
        self.assertEqual(layer.statistics("a")["expired_count"], 2)

    def test_what_is_put_back_to_a_closed_channel_is_dropped(self):
        layer = make_layer()
        name = layer.new_channel("inbox!")
        layer.send(name, {})
        pairs = layer.receive_batch(["inbox!"], 1)
        layer.close_channel(name)
        layer.put_back(pairs)
        self.assertEqual(layer.receive(["inbox!"]), (None, None))
        statistics = layer.statistics("inbox!")
        self.assertEqual(statistics["dropped_count"], 1)
        self.assertEqual(statistics["delivered_count"], 0)

    def test_the_rate_is_that_of_the_last_second(self):
        layer = make_layer(capacity=10)
        layer.send_batch([("a", {})] * 30)
        for seconds, sent, refused in (
            (0, 10, 20),
            (1, 10, 20),
            (0.5, 5, 10),
            (2, 0, 0),
        ):
            layer.clock.now += seconds
            for channel in ("a", None):
                statistics = layer.statistics(channel)
                self.assertEqual(statistics["messages_count_per_second"], sent)
                self.assertEqual(statistics["channel_full_count_per_second"], refused)
        layer.receive(["a"])
        layer.send("a", {})
        self.assertEqual(layer.statistics("a")["messages_count_per_second"], 1)

    def test_statistics_of_an_invalid_name_are_refused(self):
        layer = make_layer()
        for name in ("a b", "", "!", 1, "a!b!"):
            with self.assertRaisesMessage(TypeError, repr(name)):
                layer.statistics(name)

    def test_a_group_of_many_members_is_one_entry_of_their_inbox(self):
        layer = make_layer(capacity=1)
        names = [layer.new_channel("inbox!") for _ in range(500)]
        for name in names:
            layer.group_add("group", name)
        layer.send_group("group", {"list": [1]})
        self.assertEqual(len(layer._store.find("inbox!").entries), 1)
        received = []
        while batch := layer.receive_batch(["inbox!"], 64):
            received += batch
        self.assertEqual([name for name, _ in received], names)
