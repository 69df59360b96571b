"""Capacity, expiry and the options of a layer."""

import re
from unittest import mock

from django.channels.exceptions import InvalidChannelLayerError

from .base import EXPIRY, ConformanceBase, cites
from .forms import both_forms


class CapacityTests(ConformanceBase):
    @cites("CL-30", "refuse a message with ChannelFull")
    @cites("CL-31", "Capacity must be counted in messages")
    @both_forms(capacity=3)
    def test_a_full_channel_refuses_until_a_message_was_received(self, layer):
        for name, key in (("a", "a"), ("a?b", "a?b"), ("a!b", "a!")):
            with self.subTest(name=name):
                self.assertEqual(self.fill(layer, name), 3)
                self.assertEqual(layer.receive([key])[1], {"n": 0})
                self.assertEqual(self.fill(layer, name), 1)
                numbers = [m["n"] for m in self.receive_all(layer, [key])]
                self.assertEqual(sorted(numbers), [0, 1, 2])

    @cites("CL-30", "which names the channel and its capacity")
    @both_forms(capacity=3)
    def test_the_refusal_names_channel_and_capacity(self, layer):
        self.fill(layer, "inbox!a")
        with self.assertRaisesMessage(layer.ChannelFull, "'inbox!b'"):
            layer.send("inbox!b", {})
        with self.assertRaisesMessage(layer.ChannelFull, "3"):
            layer.send("inbox!b", {})

    @cites("CL-31", "on the inbox for process-specific ones, all local parts together")
    @both_forms(capacity=4)
    def test_the_channels_of_an_inbox_share_its_capacity(self, layer):
        for n in range(4):
            layer.send(f"inbox!{n}", {"n": n})
        for name in ("inbox!0", "inbox!9"):
            with self.assertRaisesMessage(layer.ChannelFull, name):
                layer.send(name, {})
        names = [layer.new_channel("made!") for _ in range(5)]
        for name in names[:4]:
            layer.send(name, {})
        with self.assertRaisesMessage(layer.ChannelFull, names[4]):
            layer.send(names[4], {})
        self.assertEqual(self.fill(layer, "inbox"), 4)
        self.assertEqual(self.fill(layer, "inbox?a"), 4)
        self.assertEqual(self.fill(layer, "inbox?b"), 4)
        self.assertEqual(self.fill(layer, "other!0"), 4)

    @cites("CL-32", "the first pattern in channel_capacity that matches its name")
    @both_forms(
        alone=True,
        capacity=2,
        channel_capacity={
            "http.request": 5,
            "http.*": 4,
            re.compile(r"thumb(nail)?s\Z"): 3,
            re.compile(r"x"): 6,
            "h*": 1,
        },
    )
    def test_the_first_pattern_that_matches_decides(self, layer):
        for name, capacity in (
            ("http.request", 5),
            ("http.requests", 4),
            ("http.response!a", 4),
            ("http.request.body?b", 4),
            ("http", 1),
            ("Http.request", 2),
            ("thumbs", 3),
            ("thumbsup", 2),
            ("thumbnails", 3),
            ("my.thumbs", 2),
            ("xyz", 6),
            ("wxyz", 2),
        ):
            with self.subTest(name=name):
                self.assertEqual(layer.layer.get_capacity(name), capacity)
                self.assertEqual(self.fill(layer, name), capacity)

    @cites("CL-32", "begins with interface.reply. holds a hundred times capacity")
    @both_forms(alone=True, capacity=1)
    def test_the_inbox_of_a_server_holds_more(self, layer):
        self.assertEqual(self.fill(layer, "interface.reply.a!b"), 100)
        self.assertEqual(self.fill(layer, "interface.replies!b"), 1)

    @cites("CL-32", "or for a process-specific channel its inbox")
    @both_forms(
        alone=True, capacity=2, channel_capacity={"in*!": 4, "out!*a": 3, "own!a": 3}
    )
    def test_patterns_match_the_inbox_of_a_process_specific_channel(self, layer):
        self.assertEqual(self.fill(layer, "inbox!a"), 4)
        self.assertEqual(self.fill(layer, "out!a"), 2)
        self.assertEqual(self.fill(layer, "own!a"), 2)

    @cites("CL-32", "The capacity of a channel must be that of the first pattern")
    @cites("CL-42", "A member that is full must miss the message")
    @both_forms(
        "groups",
        alone=True,
        capacity=5,
        channel_capacity={"small*": 1, "in*!": 2, "body?*": 3},
    )
    def test_each_member_of_a_group_has_its_own_capacity(self, layer):
        members = ["small", "in!a", "in!b", "body?a", "normal"]
        for name in members:
            layer.group_add("group", name)
        for n in range(6):
            layer.send_group("group", {"n": n})
        for key, capacity in (("small", 1), ("body?a", 3), ("normal", 5)):
            numbers = [m["n"] for m in self.receive_all(layer, [key])]
            self.assertEqual(sorted(numbers), list(range(capacity)))
        received = [layer.receive(["in!"]) for _ in range(4)]
        self.assertCountEqual(
            received, [(name, {"n": n}) for n in range(2) for name in ("in!a", "in!b")]
        )
        self.assertEmpty(layer, "in!")
        # There is room again, for all.
        layer.send_group("group", {"n": 6})
        received = [m for m in self.receive_all(layer, ["small", "in!", "body?a"])]
        self.assertEqual(received, [{"n": 6}] * 4)

    @cites("CL-31", "Capacity must be counted in messages")
    @cites("CL-42", "A member that is full must miss the message")
    @both_forms("groups", capacity=3)
    def test_messages_to_groups_and_to_channels_share_the_room(self, layer):
        for name, key in (("a", "a"), ("a?b", "a?b"), ("a!b", "a!")):
            with self.subTest(name=name):
                layer.group_add("group", name)
                layer.send(name, {"n": 0})
                layer.send_group("group", {"n": 1})
                self.assertEqual(layer.send_batch([(name, {"n": 2})]), [None])
                with self.assertRaisesMessage(layer.ChannelFull, name):
                    layer.send(name, {"n": 3})
                layer.send_group("group", {"n": 4})
                numbers = [m["n"] for m in self.receive_all(layer, [key])]
                self.assertEqual(sorted(numbers), [0, 1, 2])
                layer.group_discard("group", name)

    @cites("CL-30", "It takes another as soon as one was received.")
    @both_forms("flush", alone=True, capacity=3)
    def test_a_flush_makes_room(self, layer):
        for name in ("a", "a?b", "a!b"):
            self.assertEqual(self.fill(layer, name), 3)
        layer.flush()
        for name in ("a", "a?b", "a!b"):
            self.assertEqual(self.fill(layer, name), 3)

    @cites("CL-33", "must be checked when the layer is made")
    def test_an_option_out_of_range_is_refused(self):
        for option, values in (
            ("expiry", [0, -1, None, "60", True, float("nan"), float("inf")]),
            ("group_expiry", [0, -0.5, None, "1", False]),
            ("capacity", [0, -1, 1.5, None, "1", True]),
        ):
            for value in values:
                with self.subTest(option=option, value=value):
                    with self.assertRaisesMessage(
                        InvalidChannelLayerError, f"{option} must be"
                    ):
                        self.get_layer(**{option: value})
                    with self.assertRaisesMessage(
                        InvalidChannelLayerError, f"not {value!r}"
                    ):
                        self.get_layer(**{option: value})

    @cites("CL-33", "which names the option, the value and what is allowed")
    def test_a_bad_channel_capacity_is_refused(self):
        for value in ([], "a", 1, {"a": 0}, {"a": "1"}, {"a": True}, {1: 1}, {b"a": 1}):
            with self.subTest(value=value):
                with self.assertRaisesMessage(
                    InvalidChannelLayerError, "channel_capacity"
                ):
                    self.get_layer(channel_capacity=value)
        with self.assertRaisesMessage(InvalidChannelLayerError, "for str"):
            self.get_layer(channel_capacity={re.compile(b"a"): 1})


class ExpiryTests(ConformanceBase):
    @cites("CL-34", "must not be received later than expiry seconds after")
    @both_forms(alone=True, expiry=EXPIRY)
    def test_an_expired_message_is_not_received(self, layer):
        for name, key in (("a", "a"), ("a?b", "a?b"), ("a!b", "a!")):
            with self.subTest(name=name):
                layer.send(name, {})
                self.pass_time(layer.layer, EXPIRY)
                self.assertEmpty(layer, key)
                self.assertEqual(layer.receive_batch([key], 10), [])

    @cites("CL-35", "must not count towards the capacity")
    @both_forms(alone=True, expiry=EXPIRY, capacity=2)
    def test_an_expired_message_frees_capacity(self, layer):
        for name in ("a", "a?b", "a!b"):
            with self.subTest(name=name):
                for _ in range(2):
                    count = self.in_time(layer, lambda: self.fill(layer, name))
                    self.assertEqual(count, 2)
                    self.pass_time(layer.layer, EXPIRY)

    @cites("CL-36", "No change of the system's clock")
    @both_forms(alone=True, expiry=3600)
    def test_a_step_of_the_clock_expires_nothing(self, layer):
        with mock.patch("time.time", return_value=1e12):
            layer.send("a", {"n": 1})
        with mock.patch("time.time", return_value=0.0):
            layer.send("a", {"n": 2})
        with mock.patch("time.time", return_value=1e12):
            received = [m["n"] for m in self.receive_all(layer, ["a"])]
        self.assertEqual(sorted(received), [1, 2])


class ClosingTests(ConformanceBase):
    @cites("CL-37", "must drop the messages of a single-reader")
    @both_forms()
    def test_a_closed_channel_has_no_messages(self, layer):
        for name, key in (
            ("body?a", "body?a"),
            ("inbox!a", "inbox!"),
            (layer.new_channel("made!"), "made!"),
            (layer.new_channel("made?"), None),
        ):
            with self.subTest(name=name):
                layer.send(name, {})
                layer.send(name, {})
                self.assertIsNone(layer.close_channel(name))
                self.assertEmpty(layer, key or name)
                layer.close_channel(name)

    @cites("CL-37", "and end its memberships")
    @both_forms("groups")
    def test_a_closed_channel_is_in_no_group(self, layer):
        for name, key in (
            ("body?a", "body?a"),
            ("inbox!a", "inbox!"),
            (layer.new_channel("made!"), "made!"),
        ):
            with self.subTest(name=name):
                layer.group_add("one", name)
                layer.group_add("two", name)
                layer.send_group("one", {})
                layer.close_channel(name)
                layer.send_group("one", {})
                layer.send_group("two", {})
                self.assertEmpty(layer, key)

    @cites("CL-37", "leave the other channels of its inbox as they are")
    @both_forms(capacity=5)
    def test_closing_a_channel_leaves_the_others_of_its_inbox(self, layer):
        for inbox, names in (
            ("literal!", ["literal!a", "literal!b"]),
            ("made!", [layer.new_channel("made!") for _ in range(2)]),
        ):
            with self.subTest(inbox=inbox):
                for n in range(5):
                    layer.send(names[n % 2], {"n": n})
                layer.close_channel(names[0])
                # What was dropped makes room.
                layer.send(names[1], {"n": 5})
                received = [m["n"] for m in self.receive_all(layer, [inbox])]
                self.assertEqual(received, [1, 3, 5])

    @cites("CL-37", "A normal channel is refused with a TypeError.")
    @both_forms()
    def test_a_normal_channel_is_not_closed(self, layer):
        layer.send("a", {})
        with self.assertRaisesMessage(TypeError, "'a'"):
            layer.close_channel("a")
        self.assertEqual(layer.receive(["a"]), ("a", {}))

    @cites("CL-38", "without an error even if the inbox is full")
    @both_forms(capacity=1)
    def test_a_message_to_a_closed_channel_is_dropped(self, layer):
        closed, open_ = layer.new_channel("made!"), layer.new_channel("made!")
        layer.close_channel(closed)
        layer.send(closed, {"n": 1})
        self.assertEmpty(layer, "made!")
        layer.send(open_, {"n": 2})
        layer.send(closed, {"n": 3})
        self.assertEqual(layer.send_batch([(closed, {"n": 4})]), [None])
        self.assertEqual(self.receive_all(layer, ["made!"]), [{"n": 2}])
        layer.close_channel(open_)
        layer.send(open_, {"n": 5})
        self.assertEmpty(layer, "made!")

    @cites("CL-38", "It cannot join a group.")
    @both_forms("groups")
    def test_a_closed_channel_cannot_join_a_group(self, layer):
        name = layer.new_channel("made!")
        layer.close_channel(name)
        layer.group_add("group", name)
        layer.send_group("group", {})
        self.assertEmpty(layer, "made!")
