"""
How entries stand in lists and streams.

In: payloads, and what scripts reply. Out: the words of scripts, and Entry tuples.
specs/redis.rst has the formats.
"""

import struct
from functools import lru_cache
from itertools import accumulate

from ..shared.store import Entry

# How many digits the deadline before a payload in a list has.
DEADLINE_DIGITS = 15
# How many entries a run that cannot be read is at most.
MAX_BROKEN = 1000
# The longest header that is read, in bytes; ours are much shorter.
MAX_HEADER = 64

# Of many entries, each is made in a third less of the time that Entry() takes.
_make = tuple.__new__


def pack_run(payloads):
    """Return payloads as one word: the lengths, then all of them."""
    if len(payloads) == 1:
        return payloads[0]
    lengths = struct.pack(f"<{len(payloads)}I", *map(len, payloads))
    return lengths + b"".join(payloads)


def unpack_run(run, count):
    """Return the payloads that pack_run() was given."""
    if count == 1:
        return [run]
    ends = list(accumulate(struct.unpack_from(f"<{count}I", run), initial=4 * count))
    return [run[a:b] for a, b in zip(ends, ends[1:])]


def read_elements(elements, now):
    """Return the entries that elements of a list are."""
    entries = []
    before, left = None, 0
    for element in elements:
        digits = element[:DEADLINE_DIGITS]
        if digits != before:
            before, left = digits, (_number(digits) - now) / 1000
        entries.append(_make(Entry, (element[DEADLINE_DIGITS:], left, 0, None)))
    return entries


def _number(digits):
    # Nobody can tell what others write there.
    return int(digits) if digits.isdigit() else 0


class StreamEntry:
    """An entry of an inbox: messages, a control entry or a nudge."""

    __slots__ = ("id", "key", "kind", "count", "mark", "deadline", "run")

    def __init__(self, raw):
        self.id, (header, self.run, *_) = raw
        # The id as what compares.
        self.key = key_of(self.id)
        if len(header) > MAX_HEADER:
            header = b""
        self.kind, self.count, self.mark, life = _read_header(header)
        self.deadline = self.key[0] + life

    def entries(self, now):
        """Return the entries for readers; none if the messages expired."""
        if self.kind == b"m":
            left = (self.deadline - now) / 1000
            if left <= 0:
                return []
            if self.count == 1:
                return [Entry(self.run, left)]
            try:
                payloads = unpack_run(self.run, self.count)
                return [_make(Entry, (p, left, 0, None)) for p in payloads]
            except struct.error:
                # Others wrote it; no reader will understand it.
                return [Entry(b"", left)] * min(self.count, MAX_BROKEN)
        if self.kind == b"c":
            return [Entry(self.run, None, self.mark)]
        return []


# Most entries have the same one.
@lru_cache(maxsize=256)
def _read_header(header):
    """Return the kind, the numbers of messages and of a mark, and the life in ms."""
    words = header.split()
    kind, numbers = words[:1], words[1:]
    if all(map(bytes.isdigit, numbers)):
        if kind == [b"m"] and len(numbers) == 2:
            return b"m", int(numbers[0]), 0, int(numbers[1])
        if kind == [b"c"] and len(numbers) == 1:
            return b"c", 0, int(numbers[0]), 0
        if words == [b"w"]:
            return b"w", 0, 0, 0
    # Others wrote it.
    return b"", 0, 0, 0


# One that was read is asked for again, as what the next ones come after.
@lru_cache(maxsize=256)
def key_of(entry_id):
    """Return an id of an entry as a tuple that compares."""
    ms, _, serial = entry_id.partition(b"-")
    return int(ms), int(serial)
