"""
The inboxes of this process: open names, members of groups, what is not yet read.

In: entries that the layer took from the store, in their order.
Out: (channel, message) pairs; a message to a group becomes one for each member.

The store counts an entry as one message. What it became here is counted by the
inbox, and corrections() is the difference.
"""

import threading
import time
from collections import deque

from ..memory_store.groups import Groups
from ..memory_store.queues import ChannelQueue, Envelope
from .envelopes import ADD, DISCARD, FLUSH, GROUP

# How many messages are fetched ahead at most when a channel is closed.
FETCH_LIMIT = 10_000


class Inbox:
    """What this process knows of one inbox. Use it with its lock held."""

    def __init__(self, name):
        self.name = name
        self.lock = threading.RLock()
        # Does the store know that it is this process's?
        self.claimed = False
        # The groups in which the store knows this process as the owner.
        self.registered = set()
        # Names that event loops want closed.
        self.closing = deque()
        self._groups = Groups()
        # {group: the add count that was met}
        self._counts = {}
        # What was taken and not received yet; it has no limit of its own, as
        # only one batch is taken at a time.
        self._queue = ChannelQueue(name, 1, time.monotonic())
        # What the store counted of what came here.
        self._stored = {"messages_count": 0, "delivered_count": 0, "dropped_count": 0}
        self._corrected = dict.fromkeys((*self._stored, "expired_count"), 0)

    # Names.

    def open(self, channel):
        """Say that new_channel() gave a name."""
        self._queue.add_local(channel)

    def is_made(self):
        """Return whether new_channel() ever gave a name of this inbox."""
        return self._queue.open is not None

    def is_closed(self, channel):
        """Return whether a name is not open (any more)."""
        return self._queue.is_closed(channel)

    def is_member(self, channel):
        """Return whether a name is in a group."""
        return bool(self._groups.of(channel))

    def has_members(self, group):
        """Return whether a group has members here."""
        return group in self._groups

    def close(self, channel):
        """Close a name; return the (group, add count) of groups left empty."""
        left = [group for group in self._groups.of(channel)]
        self._groups.discard_all(channel)
        self._queue.close_local(channel)
        self._queue.clear_closed()
        return self._empty(left)

    def refuse(self):
        """Count a message to a closed name."""
        self._queue.sent += 1
        self._queue.dropped += 1

    def reset(self):
        """Drop all messages and memberships."""
        self._queue.drop_all()
        self._groups = Groups()
        self._counts = {}
        self.registered = set()

    # Entries.

    def apply(self, entry, kind, target, message):
        """
        Do what an entry says; return the (group, add count) of a group left empty.
        """
        if kind in (ADD, DISCARD):
            return self._join(entry, kind, target, message["channel"])
        if kind == FLUSH:
            self.reset()
            return []
        self._stored["messages_count"] += 1
        self._stored["delivered_count"] += 1
        if kind == GROUP:
            self._append_group(entry, target, message)
        elif self._queue.is_closed(target):
            self.refuse()
        else:
            self._queue.sent += 1
            self._queue.entries.append((_deadline(entry.left), target, message))
        return []

    def miss(self, entry):
        """Count messages to a group that the store had no room for."""
        self._stored["messages_count"] += entry.mark
        self._stored["dropped_count"] += entry.mark
        count = entry.mark * len(self._members(entry.group))
        self._queue.sent += count
        self._queue.dropped += count

    def spoil(self):
        """Count an entry that is none of ours."""
        self._stored["delivered_count"] += 1
        self._queue.dropped += 1

    def take(self, limit):
        """Return up to ``limit`` (channel, message) pairs that are here."""
        return self._queue.take_many(time.monotonic(), limit)

    def put_back(self, channel, message, seconds):
        """Put a message that was received to the head."""
        queue = self._queue
        now = time.monotonic()
        deadline = now + seconds
        queue.expire(now)
        if queue.entries:
            deadline = min(deadline, queue.entries[0][0])
        queue.delivered -= 1
        if queue.is_closed(channel):
            queue.dropped += 1
        else:
            queue.entries.appendleft((deadline, channel, message))

    def has_messages(self):
        """Return whether something is here; this needs no lock."""
        return bool(self._queue.entries)

    def add_to_members(self, message, seconds):
        """Put a message of this process to each name that is in a group."""
        members = tuple(self._groups.channels())
        self._queue.sent += len(members)
        if members:
            envelope = Envelope(members, message)
            self._queue.entries.append((_deadline(seconds), None, envelope))

    def _append_group(self, entry, group, message):
        members = self._members(group)
        self._queue.sent += len(members)
        if members:
            envelope = Envelope(members, message)
            self._queue.entries.append((_deadline(entry.left), None, envelope))

    # Groups.

    def memberships(self):
        """Return [(group, add count), …] of all groups with members here."""
        return list(self._counts.items())

    def _join(self, entry, kind, group, channel):
        if kind == DISCARD and not entry.mark and group not in self._counts:
            # Neither the store nor this process has anything to forget.
            return []
        self._counts[group] = max(entry.mark, self._counts.get(group, 0))
        if kind == DISCARD:
            self._groups.discard(group, channel)
        elif not self._queue.is_closed(channel):
            self._groups.add(group, channel, None)
        return self._empty([group])

    def _empty(self, groups):
        return [(g, self._counts[g]) for g in groups if g not in self._groups]

    def forget(self, group):
        """Forget a group that the store has forgotten."""
        if group not in self._groups:
            self._counts.pop(group, None)
            self.registered.discard(group)

    def _members(self, group):
        targets = self._groups.targets(group, 0)
        return targets[0][1] if targets else ()

    # Counters.

    def pending(self):
        """Return how many messages are here."""
        self._queue.expire(time.monotonic())
        return self._queue.pending()

    def max_age(self, expiry):
        """Return the seconds that the oldest message here waits."""
        now = time.monotonic()
        return self._queue.statistics(now, expiry)["messages_max_age"]

    def corrections(self):
        """
        Return by how much the store's counters are to grow, and call it done.

        What is here counts as delivered in the store.
        """
        queue = self._queue
        pending = self.pending()
        true = {
            "messages_count": queue.sent,
            "delivered_count": queue.delivered + pending,
            "dropped_count": queue.dropped,
            "expired_count": queue.expired,
        }
        for key, count in self._stored.items():
            true[key] -= count
        changes = {
            key: count - self._corrected[key]
            for key, count in true.items()
            if count != self._corrected[key]
        }
        self._corrected = true
        return changes


def _deadline(left):
    return float("inf") if left is None else time.monotonic() + left
