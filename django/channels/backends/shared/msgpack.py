"""
MessagePack in plain Python, for where msgspec is not installed.

Only what a message may hold: nil, bool, int, float, str, bin, array and map with
str keys. pack() gives the same bytes as msgspec does. specs/envelopes.rst has the
whole form.
"""

import struct

NIL, FALSE, TRUE = b"\xc0", b"\xc2", b"\xc3"
FLOAT = struct.Struct(">Bd")

# (first size that does not fit, code) for a number of 1, 2, 4 and 8 bytes behind
# the code, as in _HEADS.
_STR = ((1 << 8, 0xD9), (1 << 16, 0xDA), (1 << 32, 0xDB))
_BIN = ((1 << 8, 0xC4), (1 << 16, 0xC5), (1 << 32, 0xC6))
_ARRAY = ((0, None), (1 << 16, 0xDC), (1 << 32, 0xDD))
_MAP = ((0, None), (1 << 16, 0xDE), (1 << 32, 0xDF))
_UINT = ((1 << 8, 0xCC), (1 << 16, 0xCD), (1 << 32, 0xCE), (1 << 64, 0xCF))
# (the least value that fits, code), likewise.
_INT = ((-(1 << 7), 0xD0), (-(1 << 15), 0xD1), (-(1 << 31), 0xD2), (-(1 << 63), 0xD3))
_HEADS = tuple(map(struct.Struct, (">BB", ">BH", ">BI", ">BQ")))
_SIGNED_HEADS = tuple(map(struct.Struct, (">Bb", ">Bh", ">Bi", ">Bq")))

# What the codes from 0xC0 on are: a constant, or a number behind the code.
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_NUMBERS = dict(zip(range(0xCA, 0xD4), map(struct.Struct, ">f >d >B >H >I >Q".split())))
_NUMBERS |= dict(zip(range(0xD0, 0xD4), map(struct.Struct, ">b >h >i >q".split())))
# How long the length behind the code is, in bytes.
_BIN_LENGTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_STR_LENGTHS = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_ARRAY_LENGTHS = {0xDC: 2, 0xDD: 4}
_MAP_LENGTHS = {0xDE: 2, 0xDF: 4}


def pack(value):
    """Return the shortest MessagePack of a value; raise TypeError for a wrong type."""
    parts = []
    _pack(value, parts.append)
    return b"".join(parts)


def _pack(value, write):
    kind = type(value)
    if kind is str:
        value = value.encode()
        if len(value) < 32:
            write(bytes((0xA0 | len(value),)))
        else:
            write(_head(_STR, len(value)))
        write(value)
    elif kind is bytes:
        write(_head(_BIN, len(value)))
        write(value)
    elif kind is dict:
        write(_head(_MAP, len(value), 0x80))
        for key, item in value.items():
            _pack(key, write)
            _pack(item, write)
    elif kind is list or kind is tuple:
        write(_head(_ARRAY, len(value), 0x90))
        for item in value:
            _pack(item, write)
    else:
        write(_pack_plain(value, kind))


def _pack_plain(value, kind):
    if value is None:
        return NIL
    if kind is bool:
        return TRUE if value else FALSE
    if kind is float:
        return FLOAT.pack(0xCB, value)
    if kind is not int:
        raise TypeError(f"A {kind.__name__} has no MessagePack.")
    if -32 <= value < 128:
        return bytes((value & 0xFF,))
    if value > 0:
        return _head(_UINT, value)
    for (bound, code), head in zip(_INT, _SIGNED_HEADS):
        if value >= bound:
            return head.pack(code, value)
    raise TypeError("An int of more than 64 bits has no MessagePack.")


def _head(codes, size, small=None):
    """Return the code for a size, or ``small`` with a size below 16 in it."""
    if small is not None and size < 16:
        return bytes((small | size,))
    for (bound, code), head in zip(codes, _HEADS):
        if size < bound:
            return head.pack(code, size)
    raise TypeError("An int of more than 64 bits has no MessagePack.")


def unpack(data, depth):
    """
    Return the value that is in ``data``, which ends with it.

    Raise ValueError for anything else: what no message holds, what is nested more
    than ``depth`` deep, and what is incomplete. Nothing is reserved for items that
    are not there.
    """
    reader = _Reader(data)
    value = reader.read(depth)
    if reader.position != len(data):
        raise ValueError("more bytes follow")
    return value


class _Reader:
    def __init__(self, data):
        self.data = data
        self.position = 0

    def take(self, count):
        """Return the next bytes, of which there are as many."""
        start, self.position = self.position, self.position + count
        if self.position > len(self.data):
            raise ValueError("it is incomplete")
        return self.data[start : self.position]

    def read(self, depth):
        code = self.take(1)[0]
        if code < 0x80 or code >= 0xE0:
            return code if code < 0x80 else code - 0x100
        if code < 0x90:
            return self.read_map(code & 0x0F, depth)
        if code < 0xA0:
            return self.read_array(code & 0x0F, depth)
        if code < 0xC0:
            return self.read_str(code & 0x1F)
        if code in _CONSTANTS:
            return _CONSTANTS[code]
        if code in _NUMBERS:
            number = _NUMBERS[code]
            return number.unpack(self.take(number.size))[0]
        if code in _STR_LENGTHS:
            return self.read_str(self.length(_STR_LENGTHS[code]))
        if code in _BIN_LENGTHS:
            return self.take(self.length(_BIN_LENGTHS[code]))
        if code in _ARRAY_LENGTHS:
            return self.read_array(self.length(_ARRAY_LENGTHS[code]), depth)
        if code in _MAP_LENGTHS:
            return self.read_map(self.length(_MAP_LENGTHS[code]), depth)
        raise ValueError("it has an extension type")

    def length(self, count):
        return int.from_bytes(self.take(count), "big")

    def read_str(self, length):
        # A UnicodeDecodeError is a ValueError.
        return self.take(length).decode()

    def read_array(self, length, depth):
        if not depth:
            raise ValueError("it is nested too deep")
        return [self.read(depth - 1) for _ in range(length)]

    def read_map(self, length, depth):
        if not depth:
            raise ValueError("it is nested too deep")
        value = {}
        for _ in range(length):
            key = self.read(0)
            if type(key) is not str:
                raise ValueError("a key is no str")
            value[key] = self.read(depth - 1)
        return value
