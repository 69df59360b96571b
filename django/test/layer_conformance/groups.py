"""Groups: who gets what, and for how long."""

import asyncio
import time

from .base import EXPIRY, TRIES, WAIT_SECONDS, ConformanceBase, cites
from .forms import both_forms

MEMBERS = ["normal", "single?reader", "inbox!a", "inbox!b", "other!c"]
KEYS = ["normal", "single?reader", "inbox!", "other!", "made!"]


class GroupTests(ConformanceBase):
    def receive_pairs(self, layer, channels=KEYS):
        pairs = []
        while (pair := layer.receive(channels))[0] is not None:
            pairs.append(pair)
        return pairs

    @cites("CL-39", "must bring the message to each member once")
    @both_forms("groups")
    def test_each_member_gets_the_message_once(self, layer):
        made = layer.new_channel("made!")
        for name in [*MEMBERS, made]:
            self.assertIsNone(layer.group_add("group", name))
        self.assertIsNone(layer.send_group("group", {"n": 1}))
        pairs = self.receive_pairs(layer)
        self.assertEqual(sorted(name for name, _ in pairs), sorted([*MEMBERS, made]))
        self.assertTrue(all(message == {"n": 1} for _, message in pairs))

    @cites("CL-39", "each member once")
    @both_forms("groups")
    def test_a_batch_brings_a_group_message_to_each_member(self, layer):
        names = [layer.new_channel("inbox!") for _ in range(25)]
        for name in names:
            layer.group_add("group", name)
        layer.send_group("group", {"n": [1]})
        layer.send(names[0], {"n": 2})
        pairs = []
        while batch := layer.receive_batch(["inbox!"], 7):
            self.assertLessEqual(len(batch), 7)
            pairs += batch
        self.assertEqual(pairs.pop(), (names[0], {"n": 2}))
        self.assertEqual(sorted(name for name, _ in pairs), sorted(names))
        self.assertTrue(all(message == {"n": [1]} for _, message in pairs))

    @cites("CL-39", "in a copy of its own")
    @cites("CL-13", "must not be seen by any other")
    @both_forms("groups")
    def test_each_member_gets_its_own_copy(self, layer):
        for name in MEMBERS:
            layer.group_add("group", name)
        for message in ({"n": 1}, {"n": 1, "list": [{"a": []}]}):
            layer.send_group("group", message)
            expected = dict(message)
            for _, received in self.receive_pairs(layer):
                self.assertEqual(received, expected)
                received["n"] = 2
                if "list" in received:
                    received["list"][0]["a"].append(1)
            self.assertEqual(message, expected)

    @cites("CL-39", "and to nobody else")
    @both_forms("groups")
    def test_groups_are_apart(self, layer):
        layer.group_add("one", "inbox!a")
        layer.group_add("two", "inbox!b")
        layer.group_add("both.one", "inbox!a")
        layer.send_group("one", {})
        layer.send_group("on", {})
        layer.send("one", {})
        self.assertEqual(self.receive_pairs(layer), [("inbox!a", {})])
        self.assertEqual(self.receive_pairs(layer, ["one"]), [("one", {})])

    @cites("CL-39", "A group without members is no error.")
    @both_forms("groups")
    def test_a_group_without_members_takes_a_message(self, layer):
        layer.send_group("group", {})
        layer.group_add("group", "inbox!a")
        layer.group_discard("group", "inbox!a")
        layer.send_group("group", {})
        self.assertEqual(self.receive_pairs(layer), [])

    @cites("CL-40", "has returned, every send_group() that begins must reach")
    @both_forms("groups")
    def test_membership_counts_from_the_return_of_the_call(self, layer):
        for name in MEMBERS:
            with self.subTest(name=name):
                for n in range(10):
                    layer.group_add("group", name)
                    layer.send_group("group", {"n": n})
                    self.assertEqual(self.receive_pairs(layer), [(name, {"n": n})])
                    layer.group_discard("group", name)
                    layer.send_group("group", {"n": n})
                    self.assertEqual(self.receive_pairs(layer), [])

    @cites("CL-40", "must reach the channel")
    def test_a_member_that_was_added_elsewhere_is_reached(self):
        layer = self.make_layer(capacity=1000)
        self.require(layer, "groups")
        pool = self.pool(4)

        def join(n):
            names = [layer.new_channel(f"inbox{n}!") for _ in range(20)]
            for name in names:
                layer.group_add("group", name)
            return names

        async def ajoin(n):
            names = [await layer.anew_channel(f"inbox{n}!") for _ in range(20)]
            await asyncio.gather(*(layer.agroup_add("group", x) for x in names))
            return names

        futures = [pool.submit(join, n) for n in range(2)]
        futures += [pool.submit(self.run_async, ajoin, n) for n in range(2, 4)]
        names = [name for future in futures for name in future.result(WAIT_SECONDS)]
        layer.send_group("group", {})
        pairs = self.receive_pairs(layer, [f"inbox{n}!" for n in range(4)])
        self.assertEqual(sorted(name for name, _ in pairs), sorted(names))

    @cites("CL-40", "Adding a member again, or discarding what is none")
    @both_forms("groups")
    def test_adding_and_discarding_again_changes_nothing(self, layer):
        for name in MEMBERS:
            layer.group_add("group", name)
            layer.group_add("group", name)
            layer.group_discard("other", name)
        layer.group_discard("group", "inbox!z")
        layer.group_discard("group", "stranger")
        layer.send_group("group", {})
        names = sorted(name for name, _ in self.receive_pairs(layer))
        self.assertEqual(names, sorted(MEMBERS))
        for name in MEMBERS:
            layer.group_discard("group", name)
            layer.group_discard("group", name)
        layer.send_group("group", {})
        self.assertEqual(self.receive_pairs(layer), [])

    @cites("CL-41", "What one sender sends to a group and to its members")
    @both_forms("groups", capacity=100)
    def test_messages_to_groups_and_members_keep_their_order(self, layer):
        for name, key in (("single?reader", "single?reader"), ("inbox!a", "inbox!")):
            layer.group_add("one", name)
            layer.group_add("two", name)
            for n in range(0, 60, 3):
                layer.send(name, {"n": n})
                layer.send_group("one", {"n": n + 1})
                layer.send_group("two", {"n": n + 2})
            numbers = [m["n"] for m in self.receive_all(layer, [key])]
            self.assertEqual(numbers, list(range(60)))
            layer.group_discard("one", name)
            layer.group_discard("two", name)

    @cites("CL-42", "must miss the message, without an error")
    @both_forms("groups", capacity=1)
    def test_a_full_member_misses_the_message_and_others_get_it(self, layer):
        for name in ("normal", "inbox!a", "other!c"):
            layer.group_add("group", name)
        layer.send("normal", {"n": 1})
        layer.send("inbox!a", {"n": 1})
        layer.send_group("group", {"n": 2})
        pairs = sorted(self.receive_pairs(layer), key=lambda pair: pair[0])
        self.assertEqual(
            pairs, [("inbox!a", {"n": 1}), ("normal", {"n": 1}), ("other!c", {"n": 2})]
        )

    @cites("CL-42", "use the room of one message together, at least")
    @both_forms("groups", capacity=2)
    def test_a_group_message_takes_the_room_of_one_in_an_inbox(self, layer):
        for n in range(5):
            layer.group_add("group", f"inbox!{n}")
        for n in range(3):
            layer.send_group("group", {"n": n})
        numbers = [m["n"] for m in self.receive_all(layer, ["inbox!"])]
        self.assertEqual(numbers, [0] * 5 + [1] * 5)

    @cites("CL-34", "A message must not be received later")
    @both_forms("groups", alone=True, expiry=EXPIRY, capacity=1)
    def test_an_expired_group_message_is_not_received(self, layer):
        for name in MEMBERS:
            layer.group_add("group", name)
        layer.send_group("group", {"n": 1})
        self.pass_time(layer.layer, EXPIRY)
        self.assertEqual(self.receive_pairs(layer), [])

        def send_and_receive():
            layer.send_group("group", {"n": 2})
            return self.receive_pairs(layer)

        pairs = self.in_time(layer, send_and_receive)
        self.assertEqual(len(pairs), len(MEMBERS))

    @cites("CL-43", "must end group_expiry seconds after the last group_add()")
    @cites("CL-43", "of a process-specific channel lives as long as its process")
    @both_forms("groups", alone=True, group_expiry=EXPIRY)
    def test_only_plain_memberships_expire(self, layer):
        for name in MEMBERS:
            layer.group_add("group", name)
        self.pass_time(layer.layer, EXPIRY)
        layer.send_group("group", {})
        names = sorted(name for name, _ in self.receive_pairs(layer))
        self.assertEqual(names, ["inbox!a", "inbox!b", "other!c"])

        def join_and_receive():
            layer.group_add("group", "normal")
            layer.send_group("group", {})
            return self.receive_pairs(layer)

        self.assertIn(("normal", {}), self.in_time(layer, join_and_receive))

    @cites("CL-43", "after the last group_add()")
    @both_forms("groups", alone=True, group_expiry=5 * EXPIRY)
    def test_adding_again_renews_a_membership(self, layer):
        for _ in range(TRIES):
            layer.group_add("group", "single?reader")
            layer.group_add("group", "normal")
            self.pass_time(layer.layer, 3 * EXPIRY)
            begun = time.monotonic()
            layer.group_add("group", "normal")
            self.pass_time(layer.layer, 3 * EXPIRY)
            layer.send_group("group", {})
            seconds = time.monotonic() - begun
            pairs = self.receive_pairs(layer)
            if seconds < 5 * EXPIRY:
                break
            # The machine was too slow for it.
            self.pass_time(layer.layer, 5 * EXPIRY)
        self.assertEqual(pairs, [("normal", {})])

    @cites("CL-22", "several messages end the waits of as many readers")
    def test_a_group_message_wakes_readers(self):
        layer = self.make_layer()
        self.require(layer, "groups")
        pool = self.pool(3)
        for n in range(3):
            layer.group_add("group", f"inbox!{n}")
        wait = {"block": True, "timeout": WAIT_SECONDS}
        futures = [
            pool.submit(lambda: layer.receive(["inbox!"], **wait)) for _ in range(3)
        ]
        layer.send_group("group", {})
        names = sorted(future.result(WAIT_SECONDS)[0] for future in futures)
        self.assertEqual(names, ["inbox!0", "inbox!1", "inbox!2"])
