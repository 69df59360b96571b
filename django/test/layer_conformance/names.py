"""Names of channels and groups, and names that a layer gives."""

import enum

from django.utils.safestring import SafeString

from .base import ConformanceBase, cites
from .forms import both_forms


class Name(str, enum.Enum):
    CHANNEL = "channel.of.an.enum"


VALID_CHANNELS = [
    "a",
    "thumbnails",
    "http.request",
    "A-b_c.9",
    "-",
    "...",
    "body?x",
    "a" * 99,
    "a" * 49 + "?" + "b" * 49,
]
# No kind of name may have these.
INVALID_NAMES = [
    "",
    " ",
    "a b",
    "a\n",
    "\na",
    "a\x00",
    "a/b",
    "a:b",
    "a*",
    "\xe4",
    "\u0661",
    "\uff11",
    "\ud800",
    "a" * 100,
    b"a",
    None,
    1,
    ["a"],
    ("a",),
]
INVALID_CHANNELS = INVALID_NAMES + [
    "?",
    "!",
    "a?",
    "a!",
    "?a",
    "!a",
    "a?b?c",
    "a!b!c",
    "a?b!c",
    "a!b?c",
    "a!b\n",
    "a?b\n",
    "a?\u0661",
    "a!" + "b" * 98,
]


class NameTests(ConformanceBase):
    @cites("CL-5", "Every such name is valid")
    @both_forms(alone=True)
    def test_every_valid_name_carries_a_message(self, layer):
        for name in VALID_CHANNELS:
            with self.subTest(name=name):
                layer.send(name, {"n": name})
                self.assertEqual(layer.receive([name]), (name, {"n": name}))

    @cites("CL-5", "The name of a channel must consist of")
    @both_forms("groups", alone=True)
    def test_an_instance_of_a_subclass_of_str_is_the_text_it_is(self, layer):
        for name in (SafeString("a.b"), Name.CHANNEL):
            layer.send(name, {"n": 1})
            received, _ = layer.receive([name])
            self.assertIs(type(received), str)
            self.assertEqual(received, name)
            layer.group_add(name, name)
            layer.send_group(str.__str__(name), {"n": 2})
            self.assertEqual(layer.receive([name]), (received, {"n": 2}))

    @cites("CL-5", "nothing else is: no line feed at the end")
    @cites("CL-8", "a TypeError which names it and says what is allowed")
    @both_forms()
    def test_an_invalid_name_is_refused_and_named(self, layer):
        for name in INVALID_CHANNELS:
            with self.subTest(name=name):
                with self.assertRaisesMessage(TypeError, repr(name)):
                    layer.send(name, {})
                with self.assertRaisesMessage(TypeError, repr(name)):
                    layer.send_batch([("a", {}), (name, {})])
                with self.assertRaisesMessage(TypeError, repr(name)):
                    layer.close_channel(name)
        self.assertEmpty(layer, "a")

    @cites("CL-6", "from process-specific ones by their inbox")
    @both_forms()
    def test_a_process_specific_channel_is_received_by_its_inbox(self, layer):
        layer.send("inbox!one", {"n": 1})
        layer.send("body?two", {"n": 2})
        self.assertEqual(layer.receive(["inbox!"]), ("inbox!one", {"n": 1}))
        self.assertEqual(layer.receive(["body?two"]), ("body?two", {"n": 2}))

    @cites("CL-6", "The full name of a process-specific channel is refused.")
    @both_forms()
    def test_receiving_from_what_is_no_receivable_name_is_refused(self, layer):
        for name in INVALID_NAMES + ["inbox!one", "body?", "?", "!", "a!\n", "a?b!"]:
            with self.subTest(name=name):
                with self.assertRaisesMessage(TypeError, repr(name)):
                    layer.receive([name])
                with self.assertRaisesMessage(TypeError, repr(name)):
                    layer.receive_batch(["a", name], 10)

    @cites("CL-7", "The name of a group must follow the rule for channels")
    @both_forms("groups")
    def test_an_invalid_group_name_is_refused_and_named(self, layer):
        for name in INVALID_NAMES + ["a!", "a?", "a!b", "a?b"]:
            with self.subTest(name=name):
                for call in (layer.group_add, layer.group_discard):
                    with self.assertRaisesMessage(TypeError, repr(name)):
                        call(name, "a")
                with self.assertRaisesMessage(TypeError, repr(name)):
                    layer.send_group(name, {})

    @cites("CL-7", "without any ? and !")
    @both_forms("groups", alone=True)
    def test_a_valid_group_name_is_as_long_as_that_of_a_channel(self, layer):
        for name in ("g", "A-b_c.9", "g" * 99):
            with self.subTest(name=name):
                layer.group_add(name, "inbox!one")
                layer.send_group(name, {"n": 1})
                self.assertEqual(layer.receive(["inbox!"]), ("inbox!one", {"n": 1}))

    @cites("CL-8", "whatever type the name has")
    @both_forms("groups")
    def test_an_invalid_member_is_refused_and_named(self, layer):
        for name in INVALID_CHANNELS:
            with self.subTest(name=name):
                for call in (layer.group_add, layer.group_discard):
                    with self.assertRaisesMessage(TypeError, repr(name)):
                        call("group", name)

    @cites("CL-9", "a valid name that begins with the pattern")
    @both_forms()
    def test_a_new_channel_begins_with_the_pattern_and_works(self, layer):
        for pattern, key in (("inbox!", "inbox!"), ("a.b-c_9?", None)):
            with self.subTest(pattern=pattern):
                name = layer.new_channel(pattern)
                self.assertRegex(name, r"\A[a-zA-Z0-9\-_.]+[?!][a-zA-Z0-9]{12,}\Z")
                self.assertTrue(name.startswith(pattern))
                layer.send(name, {"n": 1})
                self.assertEqual(layer.receive([key or name]), (name, {"n": 1}))

    @cites("CL-9", "was never given before, in any process")
    @both_forms()
    def test_a_new_channel_has_a_name_of_its_own(self, layer):
        for pattern in ("inbox!", "body?"):
            names = {layer.new_channel(pattern) for _ in range(200)}
            self.assertEqual(len(names), 200)

    @cites("CL-9", "any other is refused with a TypeError")
    @both_forms()
    def test_a_pattern_that_does_not_end_in_a_mark_is_refused(self, layer):
        for pattern in INVALID_NAMES + ["a", "!", "?", "a!b", "a?b", "a!\n", "a!?"]:
            with self.subTest(pattern=pattern):
                with self.assertRaisesMessage(TypeError, repr(pattern)):
                    layer.new_channel(pattern)
