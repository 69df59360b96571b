"""
How entries stand in lists and streams.

In: payloads, and what scripts reply. Out: the words of scripts, and Entry tuples.
specs/redis.rst has the formats.
"""

import struct
from itertools import accumulate

from ..shared.store import Entry

# How many digits the deadline before a payload in a list has.
DEADLINE_DIGITS = 15
# How many entries a run that cannot be read is at most.
MAX_BROKEN = 1000

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

    __slots__ = ("id", "kind", "count", "mark", "deadline", "run")

    def __init__(self, raw):
        self.id, (header, self.run, *_) = raw
        self.kind = b""
        self.count = self.mark = 0
        self.deadline = None
        words = header.split()
        if not all(map(bytes.isdigit, words[1:])):
            return
        if words[:1] == [b"m"] and len(words) == 3:
            self.count = int(words[1])
            self.deadline = int(self.id.partition(b"-")[0]) + int(words[2])
        elif words[:1] == [b"c"] and len(words) == 2:
            self.mark = int(words[1])
        elif words != [b"w"]:
            return
        self.kind = words[0]

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


def key_of(entry_id):
    """Return an id of an entry as a tuple that compares."""
    ms, _, serial = entry_id.partition(b"-")
    return int(ms), int(serial)


def is_after(a, b):
    """Return whether an id comes after another one."""
    return key_of(a) > key_of(b)
