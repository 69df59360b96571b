"""
The queues of the memory layer: entries, lines of waiters and counters.

Nothing here locks: the layer calls it with its lock held.
"""

from collections import OrderedDict, deque

from ..values import duplicate, is_flat


class Envelope:
    """One message for several members of a group, copied when it is read."""

    __slots__ = ("members", "position", "_message", "_flat")

    def __init__(self, members, message):
        self.members = members
        # How many members have got it.
        self.position = 0
        self._message = message
        self._flat = is_flat(message)

    def __len__(self):
        return max(len(self.members) - self.position, 0)

    def take(self, limit):
        """Return the next members, up to ``limit``."""
        begin, self.position = self.position, self.position + limit
        return self.members[slice(begin, self.position)]

    def drop(self, is_gone):
        """Drop the members of which ``is_gone`` is true."""
        members = self.take(len(self.members))
        self.members = tuple(name for name in members if not is_gone(name))
        self.position = 0

    def copies(self, names):
        """Return [(name, copy of the message), …]."""
        copy = self._message.copy if self._flat else self._copy
        return [(name, copy()) for name in names]

    def _copy(self):
        return duplicate(self._message)


class ChannelQueue:
    """
    What waits on a channel, or on all channels of an inbox.

    An entry is (deadline, channel, message), or (deadline, None, envelope).
    """

    __slots__ = (
        "name",
        "capacity",
        "entries",
        "waiters",
        "woken",
        "open",
        "stale",
        "sent",
        "delivered",
        "dropped",
        "expired",
        "refused",
        "visited",
        "second",
        "_before",
        "_last",
    )

    def __init__(self, name, capacity, now):
        self.name = name
        self.capacity = capacity
        self.entries = deque()
        # The waiters that nobody has woken, first come first.
        self.waiters = OrderedDict()
        # How many were woken and have not come yet.
        self.woken = 0
        # The local parts that new_channel() made and nobody closed, if this is
        # an inbox for which it ever made one.
        self.open = None
        # Was a local part closed since the entries were last cleared of such?
        self.stale = False
        self.sent = self.delivered = self.dropped = self.expired = 0
        self.refused = 0
        # How many sends and refusals the store's last visit found.
        self.visited = None
        # The end of the running second, the counters at its begin, and what
        # they grew by in the second before.
        self.second = now + 1
        self._before = self._last = (0, 0)

    def is_closed(self, channel):
        """Return whether a channel of this queue is not there (any more)."""
        return self.open is not None and channel not in self.open

    def has_room(self, now):
        """Return whether one more entry fits, if need be after clearing up."""
        if len(self.entries) < self.capacity:
            return True
        self.expire(now)
        self.clear_closed()
        return len(self.entries) < self.capacity

    def add_local(self, channel):
        """Open a local part of this inbox."""
        if self.open is None:
            self.open = set()
        self.open.add(channel)

    def close_local(self, channel):
        """Close a local part, or the one channel there is; drop its messages."""
        if self.open is None:
            self.drop(channel.__eq__)
        else:
            # The messages go when they are met: there may be a great many.
            self.open.discard(channel)
            self.stale = bool(self.entries)

    def expire(self, now):
        """Drop the entries whose time is over; all live equally long."""
        while self.entries and self.entries[0][0] <= now:
            self.expired += _weight(self.entries.popleft())

    def clear_closed(self):
        """Drop the messages for local parts that were closed since the last time."""
        if self.stale:
            self.stale = False
            self.drop(self.is_closed)

    def drop(self, is_gone):
        """Drop the messages for the channels of which ``is_gone`` is true."""
        kept = deque()
        for entry in self.entries:
            _, channel, message = entry
            before = _weight(entry)
            if channel is None:
                message.drop(is_gone)
                after = len(message)
            else:
                after = 0 if is_gone(channel) else 1
            self.dropped += before - after
            if after:
                kept.append(entry)
        self.entries = kept

    def drop_all(self):
        """Drop all messages."""
        self.dropped += self.pending()
        self.entries.clear()

    def pending(self):
        """Return how many messages wait, those of a group once per member."""
        return sum(map(_weight, self.entries))

    def take(self, now):
        """Return the next (channel, message), or None."""
        entries = self.entries
        while entries:
            deadline, channel, message = entries[0]
            if deadline <= now:
                self.expire(now)
            elif channel is None:
                if pairs := self._take_members(message, 1):
                    return pairs[0]
            else:
                entries.popleft()
                if not (self.stale and self.is_closed(channel)):
                    self.delivered += 1
                    return channel, message
                self.dropped += 1
        self.stale = False
        return None

    def take_many(self, now, limit):
        """Return the next pairs, up to ``limit``."""
        pairs = self._take_plain(now, limit)
        while len(pairs) < limit and self.entries:
            deadline, channel, message = self.entries[0]
            if channel is None and deadline > now:
                pairs += self._take_members(message, limit - len(pairs))
            elif pair := self.take(now):
                pairs.append(pair)
        return pairs

    def _take_plain(self, now, limit):
        """Return pairs from the head, as long as there is nothing to look out for."""
        pairs = []
        if self.stale:
            return pairs
        entries = self.entries
        while entries and len(pairs) < limit:
            deadline, channel, message = entries[0]
            if channel is None or deadline <= now:
                break
            entries.popleft()
            pairs.append((channel, message))
        self.delivered += len(pairs)
        return pairs

    def _take_members(self, envelope, limit):
        names = envelope.take(limit)
        if not envelope:
            self.entries.popleft()
        if self.stale:
            present = [name for name in names if not self.is_closed(name)]
            self.dropped += len(names) - len(present)
            names = present
        self.delivered += len(names)
        return envelope.copies(names)

    def count_seconds(self, now):
        """Begin another second if the running one is over."""
        if now < self.second:
            return
        seconds = int(now - self.second) + 1
        counters = (self.sent, self.refused)
        grown = tuple(c - b for c, b in zip(counters, self._before))
        self._last = grown if seconds == 1 else (0, 0)
        self._before = counters
        self.second += seconds

    def statistics(self, now, expiry):
        """Return the counters, after clearing up."""
        self.expire(now)
        self.clear_closed()
        self.count_seconds(now)
        # The last second consists of the running one and a part of the one before.
        part = min(self.second - now, 1)
        sent, refused = (
            counter - before + last * part
            for counter, before, last in zip(
                (self.sent, self.refused), self._before, self._last
            )
        )
        oldest = self.entries[0][0] - expiry if self.entries else now
        return {
            "messages_count": self.sent,
            "messages_count_per_second": sent,
            "messages_pending": self.pending(),
            "messages_max_age": max(now - oldest, 0),
            "channel_full_count": self.refused,
            "channel_full_count_per_second": refused,
            "delivered_count": self.delivered,
            "dropped_count": self.dropped,
            "expired_count": self.expired,
        }


def _weight(entry):
    """Return for how many readers an entry is."""
    _, channel, message = entry
    return len(message) if channel is None else 1
