"""
The format of the store: the keys and values that are in LMDB.

Keys sort by kind, then by name, so that everything of a queue or group is one
range. Numbers in keys are big-endian, elsewhere little-endian.

================================= ==============================================
``q`` name ``\\0``                 a queue: its counters and who waits for it
``q`` name ``\\0`` sequence        an entry of it: header and payload
``q`` name ``\\1`` group           how many messages of a group did not fit
``g`` group ``\\0`` channel        a registration: of an inbox or a plain channel
``i`` channel ``\\0`` group        where a single-reader channel is registered
``p`` process                     a process that lives: the id of it, for humans
``t``                             counters of queues that were forgotten
================================= ==============================================

Whatever changes here needs another FORMAT_VERSION: processes with another one
use another file.
"""

from functools import lru_cache
from operator import attrgetter
from struct import Struct

FORMAT_VERSION = 1

# Entries are numbered from here, both ways.
FIRST_SEQUENCE = 2**63
FOREVER = float("inf")

SEQUENCE = Struct(">Q")
# Deadline, mark, whether it is a control entry. The payload follows.
HEADER = Struct("<dQ?")
# Process that claimed the inbox or 0, add count, capacity, deadline.
REGISTRATION = Struct("<QQQd")
NUMBER = Struct("<Q")
PROCESS_KEY = Struct(">cQ")

COUNTERS = ("sent", "delivered", "dropped", "expired", "refused")
_TOTALS = Struct("<5q")

_FIELDS = (
    # The sequence numbers of the first entry, if any, and of the next new one.
    "head",
    "tail",
    # How many entries there are, and how many of them are messages.
    "entries",
    "messages",
    # How many groups have missed messages.
    "missed",
    # The process that claimed this inbox, or 0.
    "owner",
    *COUNTERS,
    # A second, and what was sent and refused in it and in the one before.
    "second",
    "sent_now",
    "sent_before",
    "refused_now",
    "refused_before",
    # No message expires before this.
    "earliest",
    # When it was used last.
    "used",
)
# What was given back after its queue was forgotten makes a counter negative.
_LAYOUT = Struct("<QQIIIQ5qQ4Idd")
_get_fields = attrgetter(*_FIELDS)


class Queue:
    """The record of a queue, while a transaction uses it."""

    __slots__ = ("name", "key", "is_inbox", "waiters", "changed", *_FIELDS)

    def __init__(self, name, value=None):
        self.name = name
        self.key = queue_key(name)
        self.is_inbox = name[-1:] == "!"
        self.changed = False
        if value is not None:
            self._unpack(value)
            return
        self.head = self.tail = FIRST_SEQUENCE
        self.entries = self.messages = self.missed = self.owner = 0
        self.sent = self.delivered = self.dropped = self.expired = self.refused = 0
        self.second = self.sent_now = self.sent_before = 0
        self.refused_now = self.refused_before = 0
        self.earliest = FOREVER
        self.used = 0.0
        # The processes to be rung, first come first.
        self.waiters = []

    def _unpack(self, value):
        (
            self.head,
            self.tail,
            self.entries,
            self.messages,
            self.missed,
            self.owner,
            self.sent,
            self.delivered,
            self.dropped,
            self.expired,
            self.refused,
            self.second,
            self.sent_now,
            self.sent_before,
            self.refused_now,
            self.refused_before,
            self.earliest,
            self.used,
        ) = _LAYOUT.unpack_from(value)
        if len(value) == _LAYOUT.size:
            self.waiters = []
        else:
            numbers = value[_LAYOUT.size :]
            self.waiters = list(Struct(f"<{len(numbers) // 8}Q").unpack(numbers))

    def pack(self):
        """Return the value for LMDB."""
        value = _LAYOUT.pack(*_get_fields(self))
        if self.waiters:
            value += Struct(f"<{len(self.waiters)}Q").pack(*self.waiters)
        return value

    def count_sent(self, now, sent, refused=0):
        """Count what was sent, and refused, at a time."""
        self.sent += sent
        self.refused += refused
        second = int(now)
        if second != self.second:
            follows = second == self.second + 1
            self.sent_before = self.sent_now if follows else 0
            self.refused_before = self.refused_now if follows else 0
            self.sent_now = self.refused_now = 0
            self.second = second
        self.sent_now += sent
        self.refused_now += refused

    def statistics(self, now, age):
        """Return the counters as a layer reports them, with an age in seconds."""
        # The last second is the running one and a part of the one before.
        second = int(now)
        part = 1 - (now - second)
        if second == self.second:
            sent = self.sent_now + part * self.sent_before
            refused = self.refused_now + part * self.refused_before
        elif second == self.second + 1:
            sent, refused = part * self.sent_now, part * self.refused_now
        else:
            sent = refused = 0
        return {
            "messages_count": self.sent,
            "messages_count_per_second": sent,
            "messages_pending": self.messages,
            "messages_max_age": age,
            "channel_full_count": self.refused,
            "channel_full_count_per_second": refused,
            "delivered_count": self.delivered,
            "dropped_count": self.dropped,
            "expired_count": self.expired,
        }


@lru_cache(maxsize=4096)
def queue_key(name):
    """Return the key of a queue's record; those of its entries begin with it."""
    return b"q%s\0" % name.encode()


def missed_key(name, group=""):
    """Return the key of what an inbox missed of a group, or the begin of all."""
    return b"q%s\1%s" % (name.encode(), group.encode())


def registration_key(group, channel=""):
    """Return the key of a registration, or the begin of a group's."""
    return b"g%s\0%s" % (group.encode(), channel.encode())


def index_key(channel, group=""):
    """Return the key that says that a channel is in a group, or their begin."""
    return b"i%s\0%s" % (channel.encode(), group.encode())


def process_key(process):
    """Return the key of a process."""
    return PROCESS_KEY.pack(b"p", process)


TOTALS_KEY = b"t"


def unpack_totals(value):
    """Return the counters of forgotten queues, in the order of COUNTERS."""
    return _TOTALS.unpack(value) if value else (0,) * len(COUNTERS)


def pack_totals(counters):
    """Return the value for the counters of forgotten queues."""
    return _TOTALS.pack(*counters)
