"""What messages hold, and what becomes of it."""

import enum
import json
import math
from collections import OrderedDict, defaultdict
from datetime import datetime
from decimal import Decimal

from django.db.models import TextChoices
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from .base import ConformanceBase, cites
from .forms import both_forms


class Number(enum.IntEnum):
    SEVEN = 7


class Text(str, enum.Enum):
    HELLO = "hello"


class Choice(TextChoices):
    YES = "y", "Yes"


class Bytes(bytes):
    pass


class Float(float):
    pass


class List(list):
    pass


VALUES = [
    b"",
    bytes(range(256)),
    "",
    "text",
    "nul \x00, line\nfeed, \xe4, \u20ac, \u2028, \ufeff, \uffff",
    "\U0001f40e" * 3,
    "".join(map(chr, range(0x300))),
    0,
    1,
    -1,
    127,
    128,
    -129,
    2**31,
    2**32,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    0.0,
    1.0,
    0.1,
    5e-324,
    1.7976931348623157e308,
    float("inf"),
    float("-inf"),
    True,
    False,
    None,
    [],
    {},
    [[]],
    [None, True, 1, 1.0, "1", b"1", [1], {"1": 1}],
    {"": {"": {"": [{}]}}},
    {"a b": 1, "\xe4": 2, "\U0001f40e": 3, "type": 4, "\x00": 5},
]

SUBCLASSES = [
    (SafeString("<b>"), "<b>"),
    (Number.SEVEN, 7),
    (Text.HELLO, "hello"),
    (Choice.YES, "y"),
    (Bytes(b"b"), b"b"),
    (Float(1.5), 1.5),
    (List([SafeString("s")]), ["s"]),
    (OrderedDict([(SafeString("k"), Number.SEVEN)]), {"k": 7}),
    (defaultdict(list, a=[Text.HELLO]), {"a": ["hello"]}),
]


class BadRepr:
    def __repr__(self):
        raise RuntimeError("This cannot be shown.")


REFUSED = [
    ((1, 2), "tuple"),
    ({1}, "set"),
    (frozenset(), "frozenset"),
    (bytearray(b"b"), "bytearray"),
    (memoryview(b"b"), "memoryview"),
    (1j, "complex"),
    (Decimal(1), "Decimal"),
    (datetime(2016, 5, 7), "datetime"),
    (gettext_lazy("Yes"), "__proxy__"),
    (SimpleLazyObject(lambda: "lazy"), "SimpleLazyObject"),
    (range(3), "range"),
    (object(), "object"),
    (BadRepr(), "BadRepr"),
    (str, "type"),
    (2**63, "64 bits"),
    (-(2**63) - 1, "64 bits"),
    (10**5000, "64 bits"),
    ("\ud800", "surrogate"),
    ("a\udfffb", "surrogate"),
]


def nested(depth):
    """Return a message of so many levels, itself the first, dicts and lists."""
    value = {} if depth % 2 else []
    for level in range(depth - 1, 0, -1):
        value = {"a": value} if level % 2 else [value]
    return value


def plain(value):
    """Return a value with the types of all that is in it."""
    if isinstance(value, dict):
        return dict, {key: (type(key), plain(item)) for key, item in value.items()}
    if isinstance(value, list):
        return type(value), [plain(item) for item in value]
    return type(value), value


class ValueTests(ConformanceBase):
    def transfer(self, layer, message):
        layer.send("values", message)
        return layer.receive(["values"])[1]

    def assertRefused(self, layer, message, *texts):
        calls = [
            lambda: layer.send("values", message),
            lambda: layer.send_batch([("values", {}), ("values", message)]),
        ]
        if "groups" in layer.extensions:
            layer.group_add("group", "values")
            calls.append(lambda: layer.send_group("group", message))
        for call in calls:
            for text in texts:
                with self.assertRaisesMessage(TypeError, text):
                    call()
        self.assertEmpty(layer, "values")

    @cites("CL-10", "what is received has the values and the types of what was sent")
    @both_forms()
    def test_a_value_arrives_as_it_was_sent(self, layer):
        for value in VALUES:
            with self.subTest(value=value):
                message = {"value": value, "list": [value]}
                received = self.transfer(layer, message)
                self.assertEqual(plain(received), plain(message))

    @cites("CL-10", "float")
    @both_forms()
    def test_not_a_number_and_minus_zero_arrive_as_such(self, layer):
        received = self.transfer(layer, {"nan": float("nan"), "zero": -0.0})
        self.assertTrue(math.isnan(received["nan"]))
        self.assertEqual(math.copysign(1, received["zero"]), -1)

    @cites("CL-10", "nested up to 32 levels deep")
    @both_forms()
    def test_32_levels_are_allowed_and_33_are_not(self, layer):
        self.assertEqual(self.transfer(layer, nested(32)), nested(32))
        self.assertRefused(layer, nested(33), "33 levels deep", "['a'][0]['a']")

    @cites("CL-10", "dict with str keys")
    @both_forms()
    def test_keys_keep_their_order(self, layer):
        message = {key: 0 for key in "zyxabc"}
        self.assertEqual(list(self.transfer(layer, message)), list(message))

    @cites("CL-11", "arrive as the plain type")
    @both_forms()
    def test_an_instance_of_a_subclass_arrives_as_the_plain_type(self, layer):
        for value, expected in SUBCLASSES:
            with self.subTest(value=value):
                received = self.transfer(layer, {"value": value})
                self.assertEqual(plain(received), plain({"value": expected}))
        received = self.transfer(layer, OrderedDict(a=1))
        self.assertEqual(plain(received), plain({"a": 1}))

    @cites("CL-12", "where in the message it stands, what it is")
    @both_forms()
    def test_a_value_of_another_type_is_refused(self, layer):
        for value, text in REFUSED:
            with self.subTest(text=text):
                message = {"a": [0, {"b": value}]}
                self.assertRefused(layer, message, text, "message['a'][1]['b']")
                self.assertRefused(layer, {"c": value}, text, "message['c']")

    @cites("CL-12", "a key that is no str")
    @both_forms()
    def test_a_key_that_is_no_text_is_refused(self, layer):
        for key in (1, None, b"k", ("k",), 1.5, "\ud800"):
            with self.subTest(key=key):
                self.assertRefused(layer, {key: 1}, "message has ")
                self.assertRefused(layer, {"a": {key: 1}}, "message['a'] has ")

    @cites("CL-12", "a message that is no dict")
    @both_forms()
    def test_a_message_that_is_no_dict_is_refused(self, layer):
        for message in (None, "text", b"bytes", 1, [], [("a", 1)], ({},), BadRepr()):
            with self.subTest(type=type(message)):
                name = type(message).__name__
                self.assertRefused(layer, message, "must be a dict", f"type {name}")

    @cites("CL-12", "one that contains itself")
    @both_forms()
    def test_a_message_that_contains_itself_is_refused(self, layer):
        message = {"list": []}
        message["list"].append(message)
        self.assertRefused(layer, message, "32 levels deep")

    @cites("CL-13", "What the sender or a reader does with a message after the call")
    @both_forms()
    def test_a_change_after_sending_is_not_seen(self, layer):
        message = {"list": [1, {"a": [2]}], "n": 1}
        layer.send("values", message)
        layer.send_batch([("values", message)])
        message["n"] = 2
        message["list"][1]["a"].append(3)
        message["list"].clear()
        for _ in range(2):
            received = layer.receive(["values"])[1]
            self.assertEqual(received, {"list": [1, {"a": [2]}], "n": 1})

    @cites("CL-14", "A message of up to 1 MB as JSON must be accepted.")
    @both_forms()
    def test_one_megabyte_as_json_is_accepted(self, layer):
        for message in (
            {"text": "x" * (10**6 - 20)},
            {"text": "\x00" * (10**6 // 6 - 20)},
            {"list": [1] * 300_000},
            {"dict": {str(n): n for n in range(60_000)}},
        ):
            self.assertLessEqual(len(json.dumps(message)), 10**6)
            self.assertEqual(self.transfer(layer, message), message)

    @cites("CL-14", "refused with MessageTooLarge, which names the limit")
    @both_forms()
    def test_a_message_above_the_limit_is_refused(self, layer):
        limit = layer.max_message_size
        layer.send("values", {"k": b"x" * (limit - 2)})
        self.assertEqual(len(layer.receive(["values"])[1]["k"]), limit - 2)
        for message in (
            {"k": b"x" * (limit - 1)},
            {"k": "x" * limit},
            {"k" * (limit + 1): None},
            {"k": [b"x" * 1000] * (limit // 1000 + 1)},
            {"k": [[b"x" * (limit // 2)], {"a": b"x" * (limit // 2)}]},
        ):
            with self.assertRaisesMessage(layer.MessageTooLarge, str(limit)):
                layer.send("values", message)
        self.assertEmpty(layer, "values")

    @cites("CL-14", "A layer has a limit, max_message_size")
    @both_forms(alone=True)
    def test_a_message_whose_parts_are_shared_is_measured_as_it_would_be_read(
        self, layer
    ):
        # Ten levels of tenfold references: small here, gigabytes elsewhere.
        value = b"x"
        for _ in range(10):
            value = [value] * 10
        with self.assertRaisesMessage(layer.MessageTooLarge, "at most"):
            layer.send("values", {"value": value})
