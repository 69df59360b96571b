"""MessagePack in plain Python, beside that of msgspec."""

import random
import struct
from importlib.util import find_spec
from unittest import skipUnless

from django.channels.backends.shared.msgpack import pack, unpack
from django.test import SimpleTestCase

if find_spec("msgspec"):
    import msgspec
else:
    msgspec = None

# Around each change of form, with the first byte of the form.
INTEGERS = [
    (0, 0x00), (127, 0x7F), (128, 0xCC), (255, 0xCC), (256, 0xCD), (65535, 0xCD),
    (65536, 0xCE), (2**32 - 1, 0xCE), (2**32, 0xCF), (2**63 - 1, 0xCF), (-1, 0xFF),
    (-32, 0xE0), (-33, 0xD0), (-128, 0xD0), (-129, 0xD1), (-(2**15), 0xD1),
    (-(2**15) - 1, 0xD2), (-(2**31), 0xD2), (-(2**31) - 1, 0xD3), (-(2**63), 0xD3),
]  # fmt: skip


def random_value(source, depth=0):
    """Return a value that a message may hold."""
    kind = source.randrange(9 if depth < 5 else 7)
    if kind == 0:
        return source.choice([None, True, False])
    if kind == 1:
        return source.randrange(-(2**63), 2**63) >> source.randrange(64)
    if kind == 2:
        return struct.unpack(">d", source.randbytes(8))[0]
    if kind == 3:
        return source.randbytes(source.choice([0, 1, 5, 255, 256, 70000]))
    if kind < 7:
        size = source.choice([0, 1, 10, 31, 32, 255, 256, 66000])
        return "".join(source.choices("ab\x00\n\xe4€\U0001f40e", k=size))
    count = source.choice([0, 1, 2, 15, 16, 17] if depth < 2 else [0, 1, 2])
    if kind == 7:
        return [random_value(source, depth + 1) for _ in range(count)]
    return {f"{n}\xe4" * n: random_value(source, depth + 1) for n in range(count)}


class PackTests(SimpleTestCase):
    def test_an_integer_has_its_shortest_form(self):
        for value, code in INTEGERS:
            with self.subTest(value=value):
                self.assertEqual(pack(value)[0], code)
                self.assertEqual(unpack(pack(value), 1), value)

    def test_lengths_have_their_shortest_form(self):
        for make, bounds in (
            (lambda n: "a" * n, [0xA0, (31, 0xBF), (32, 0xD9), (256, 0xDA)]),
            (lambda n: b"a" * n, [0xC4, (255, 0xC4), (256, 0xC5), (65536, 0xC6)]),
            (lambda n: [1] * n, [0x90, (15, 0x9F), (16, 0xDC), (65536, 0xDD)]),
            (
                lambda n: dict.fromkeys(map(str, range(n))),
                [0x80, (15, 0x8F), (16, 0xDE), (65536, 0xDF)],
            ),
        ):
            for length, code in [(0, bounds[0]), *bounds[1:]]:
                with self.subTest(code=code):
                    packed = pack(make(length))
                    self.assertEqual(packed[0], code)
                    self.assertEqual(unpack(packed, 1), make(length))

    def test_floats_keep_every_bit(self):
        for value in (0.0, -0.0, 1.5, float("inf"), 5e-324, float("nan")):
            with self.subTest(value=value):
                bits = struct.pack(">d", value)
                self.assertEqual(pack(value), b"\xcb" + bits)
                self.assertEqual(struct.pack(">d", unpack(pack(value), 0)), bits)

    def test_other_types_are_refused(self):
        for value in ({1}, object(), b"a".__iter__(), 2**64, -(2**63) - 1):
            with self.assertRaisesMessage(TypeError, "has no MessagePack"):
                pack([value])


class UnpackTests(SimpleTestCase):
    def test_what_is_incomplete_is_refused(self):
        packed = pack({"a": [1, "b" * 40, b"c", 2.5, {"d": None}], "e": 2**40})
        for end in range(len(packed)):
            with self.subTest(end=end):
                with self.assertRaisesMessage(ValueError, ""):
                    unpack(packed[:end], 9)

    def test_a_length_that_is_only_announced_takes_no_memory(self):
        # The items of an array and a map, or the bytes of a str or bin.
        for code in (b"\xdd", b"\xdf", b"\xdb", b"\xc6"):
            with self.assertRaisesMessage(ValueError, "incomplete"):
                unpack(code + b"\xff\xff\xff\xff", 9)

    def test_what_is_nested_too_deep_is_refused(self):
        self.assertEqual(unpack(b"\x91\x81\xa0\x90", 3), [{"": []}])
        for packed in (b"\x91\x81\xa0\x90", b"\x91\x91\x80", b"\x91" * 100000):
            with self.assertRaisesMessage(ValueError, "too deep"):
                unpack(packed, 2)

    def test_a_key_that_is_no_str_is_refused(self):
        for key in (b"\x01", b"\xc0", b"\xc4\x01a"):
            with self.assertRaisesMessage(ValueError, "no str"):
                unpack(b"\x81" + key + b"\x01", 2)
        with self.assertRaisesMessage(ValueError, "too deep"):
            unpack(b"\x81\x90\x01", 2)


@skipUnless(msgspec, "msgspec is not installed.")
class AgreementTests(SimpleTestCase):
    """What msgspec does with the same values and bytes."""

    def test_the_bytes_are_the_same(self):
        source = random.Random(7)
        for _ in range(150):
            value = random_value(source)
            with self.subTest(value=repr(value)[:100]):
                packed = pack(value)
                self.assertEqual(packed, msgspec.msgpack.encode(value))
                self.assertEqual(pack(unpack(packed, 9)), packed)

    def test_what_msgspec_packs_is_read(self):
        for value, _ in INTEGERS:
            self.assertEqual(unpack(msgspec.msgpack.encode(value), 0), value)
