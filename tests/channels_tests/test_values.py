"""Copying, checking and measuring messages."""

import json
import random

from django.channels.backends.values import (
    MAX_DEPTH,
    copy_message,
    duplicate,
    is_flat,
)
from django.channels.exceptions import MessageTooLarge
from django.test import SimpleTestCase

LIMIT = 10**6


def measure(message):
    """Return the size of a message: the lowest limit that it is within."""
    low, high = 0, 10**7
    while low < high:
        middle = (low + high) // 2
        try:
            copy_message(message, middle)
            high = middle
        except MessageTooLarge:
            low = middle + 1
    return low


def random_value(source, depth=0):
    """Return any value that JSON has, too."""
    kind = source.randrange(8 if depth < 5 else 6)
    if kind == 0:
        return source.choice([None, True, False])
    if kind == 1:
        return source.randrange(-(2**63), 2**63) >> source.randrange(64)
    if kind == 2:
        return source.uniform(-1e9, 1e9)
    if kind < 6:
        letters = 'ab\x00\n"\\\xe4\u20ac\U0001f40e'
        return "".join(source.choices(letters, k=source.randrange(10)))
    count = source.randrange(4)
    if kind == 6:
        return [random_value(source, depth + 1) for _ in range(count)]
    return {str(n) * n: random_value(source, depth + 1) for n in range(count)}


class CopyTests(SimpleTestCase):
    def test_a_copy_shares_no_container(self):
        message = {"list": [[1], {"a": [2]}], "dict": {"b": {"c": []}}}
        copy = copy_message(message, LIMIT)
        self.assertEqual(copy, message)
        self.assertIsNot(copy, message)
        self.assertIsNot(copy["list"], message["list"])
        self.assertIsNot(copy["list"][0], message["list"][0])
        self.assertIsNot(copy["list"][1]["a"], message["list"][1]["a"])
        self.assertIsNot(copy["dict"]["b"]["c"], message["dict"]["b"]["c"])

    def test_what_occurs_twice_is_two_copies(self):
        part = [1]
        copy = copy_message({"a": part, "b": part}, LIMIT)
        self.assertIsNot(copy["a"], copy["b"])

    def test_the_path_names_every_step(self):
        for message, path in (
            ({"a": ()}, "message['a'] is () of type tuple"),
            ({"a": {"b": [0, {"c": {1}}]}}, "message['a']['b'][1]['c'] is {1}"),
            ({"a": [[["\ud800"]]]}, "message['a'][0][0][0] is a str that has"),
            ({"a": {2: 1}}, "message['a'] has the key 2 of type int"),
            ({"\udfff": 1}, "message has a key that has a lone surrogate"),
            ({"a": [2**63]}, "message['a'][0] is 9223372036854775808, which"),
        ):
            with self.subTest(path=path):
                with self.assertRaisesMessage(TypeError, path):
                    copy_message(message, LIMIT)

    def test_an_error_says_what_is_allowed(self):
        allowed = "bytes, str, int (64 bits), float, list, dict with str keys, bool"
        with self.assertRaisesMessage(TypeError, allowed):
            copy_message({"a": ()}, LIMIT)
        with self.assertRaisesMessage(
            TypeError, "-9223372036854775808 to 9223372036854775807"
        ):
            copy_message({"a": 2**64}, LIMIT)
        with self.assertRaisesMessage(TypeError, f"{MAX_DEPTH} levels deep"):
            message = {}
            message["a"] = message
            copy_message(message, LIMIT)

    def test_a_long_value_is_shortened_in_the_error(self):
        for value in (bytearray(10**6), (0,) * 10**6, 10**5000, -(10**5000)):
            with self.assertRaisesMessage(TypeError, "message['a'] is ") as caught:
                copy_message({"a": value}, LIMIT)
            self.assertLess(len(str(caught.exception)), 300)


class SizeTests(SimpleTestCase):
    def test_the_size_is_the_sum_of_lengths_and_of_one_for_the_rest(self):
        for message, size in (
            ({"": None}, 2),
            ({"ab": 1, "c": 1.5, "d": True}, 1 + 3 + 1 + 1 + 1 + 1),
            ({"ab": b"cde"}, 1 + 2 + 3),
            ({"ab": "\U0001f40e"}, 1 + 2 + 1),
            ({"a": [], "b": {}}, 1 + 2 + 1 + 1),
            ({"a": ["bc", [b"d", 1]]}, 1 + 1 + 1 + 2 + 1 + 1 + 1),
            ({"a": {"bc": {"d": None}}}, 1 + 1 + 1 + 2 + 1 + 1 + 1),
        ):
            with self.subTest(message=message):
                self.assertEqual(measure(message), size)

    def test_the_size_is_never_more_than_the_length_as_json(self):
        source = random.Random(6)
        for _ in range(300):
            message = {"": random_value(source), "b": random_value(source)}
            self.assertLessEqual(measure(message), len(json.dumps(message)), message)
            text = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
            self.assertLessEqual(measure(message), len(text), message)

    def test_the_error_names_size_and_limit(self):
        with self.assertRaisesMessage(
            MessageTooLarge, "has a size of at least 12; at most 11 is allowed"
        ):
            copy_message({"a": "x" * 10}, 11)


class DuplicateTests(SimpleTestCase):
    def test_a_duplicate_is_deep(self):
        message = {"a": [1, [2], {"b": [3]}], "c": {"d": {}}, "e": b"f"}
        copy = duplicate(message)
        self.assertEqual(copy, message)
        copy["a"][1].append(0)
        copy["a"][2]["b"].append(0)
        copy["c"]["d"]["x"] = 0
        self.assertEqual(
            message, {"a": [1, [2], {"b": [3]}], "c": {"d": {}}, "e": b"f"}
        )

    def test_a_message_without_containers_is_flat(self):
        self.assertTrue(is_flat({"a": 1, "b": "c", "d": None}))
        self.assertFalse(is_flat({"a": 1, "b": []}))
        self.assertFalse(is_flat({"a": {}}))
