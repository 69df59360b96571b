"""
The state of a memory layer: its queues, its groups and who waits for what.

Nothing here locks: the layer calls it with its lock held, and hands in messages
that are its own.
"""

import heapq
import itertools
import time

from django.channels.exceptions import ChannelFull
from django.channels.names import queue_of

from ..counters import COUNTERS, add_up
from .groups import Groups
from .queues import ChannelQueue, Envelope

# How long a queue keeps its counters after its last message, in seconds.
MEMORY_SECONDS = 3600
# How many due queues and groups one call visits at most.
SWEEP_LIMIT = 16


class Store:
    """All that a memory layer holds. Times are those of ``clock``, in seconds."""

    def __init__(self, expiry, group_expiry, get_capacity):
        self.clock = time.monotonic
        self.groups = Groups()
        # How often waiting was ended by close().
        self.closings = 0
        self._expiry = expiry
        self._group_expiry = group_expiry
        self._get_capacity = get_capacity
        self._queues = {}
        # A heap of (when, serial number, what to call, its argument).
        self._visits = []
        self._serial = itertools.count()
        self._next_visit = float("inf")
        # The groups that a visit is planned for.
        self._planned = set()
        # The counters of the queues that were forgotten.
        self._past = dict.fromkeys(COUNTERS, 0)

    # Queues.

    def find(self, name):
        """Return the queue of a channel or inbox, or None."""
        return self._queues.get(name)

    def queue(self, name):
        """Return the queue of a channel or inbox, made if it is not there."""
        queue = self._queues.get(name)
        if queue is None:
            now = self.clock()
            queue = ChannelQueue(name, self._get_capacity(name), now)
            self._queues[name] = queue
            self._plan(now + self._expiry, self._visit_queue, queue)
        return queue

    def forget(self, queue):
        """Remove a queue, unless somebody waits for it; its counters stay."""
        if queue.waiters or queue.woken:
            return
        queue.drop_all()
        statistics = queue.statistics(self.clock(), self._expiry)
        for key in COUNTERS:
            self._past[key] += statistics[key]
        del self._queues[queue.name]

    # Sending and taking.

    def send(self, channel, message):
        """Store a message or raise ChannelFull."""
        now = self.clock()
        if now >= self._next_visit:
            self._sweep(now)
        name = queue_of(channel) if "!" in channel else channel
        queue = self._queues.get(name) or self.queue(name)
        if now >= queue.second:
            queue.count_seconds(now)
        if queue.open is not None and channel not in queue.open:
            queue.sent += 1
            queue.dropped += 1
            return
        if len(queue.entries) >= queue.capacity and not queue.has_room(now):
            queue.refused += 1
            raise ChannelFull(
                f"Channel {channel!r} is full: {name!r} holds {len(queue.entries)} "
                f"messages, and its capacity is {queue.capacity}."
            )
        queue.entries.append((now + self._expiry, channel, message))
        queue.sent += 1
        if queue.waiters:
            self.wake(queue)

    def is_closed(self, channel):
        """Return whether a name of new_channel() was closed."""
        return self.queue(queue_of(channel)).is_closed(channel)

    def refuse(self, channel):
        """Count a send that was refused without a try."""
        queue = self.queue(queue_of(channel))
        queue.count_seconds(self.clock())
        queue.refused += 1

    def send_group(self, group, message):
        """Store a message once for each inbox and each plain channel of a group."""
        now = self.clock()
        if now >= self._next_visit:
            self._sweep(now)
        for name, members in self.groups.targets(group, now):
            queue = self.queue(name)
            queue.count_seconds(now)
            queue.sent += len(members)
            if queue.has_room(now):
                envelope = Envelope(members, message)
                queue.entries.append((now + self._expiry, None, envelope))
                self.wake(queue)
            else:
                queue.refused += 1
                queue.dropped += len(members)

    def put_back(self, channel, message):
        """Store a message at the head that was taken and is not used."""
        queue = self.queue(queue_of(channel))
        now = self.clock()
        deadline = now + self._expiry
        queue.expire(now)
        if queue.entries:
            # All behind it would seem to live as long as the head does.
            deadline = min(deadline, queue.entries[0][0])
        if queue.delivered:
            queue.delivered -= 1
        else:
            # It was forgotten since: what it had counted moves back.
            self._past["messages_count"] -= 1
            self._past["delivered_count"] -= 1
            queue.sent += 1
        if queue.is_closed(channel):
            queue.dropped += 1
            return
        queue.entries.appendleft((deadline, channel, message))
        self.wake(queue)

    def take(self, selection):
        """Take one message, first from the channel after the last one's."""
        now = self.clock()
        if now >= self._next_visit:
            self._sweep(now)
        names = selection.names
        count = len(names)
        start = selection.start
        for index in range(start, start + count):
            queue = self._queues.get(names[index % count])
            if queue is not None and queue.entries and (pair := queue.take(now)):
                selection.start = (index + 1) % count
                return pair
        return None

    def take_many(self, selection, limit):
        """Take messages from all channels in turn, in bulk from a single one."""
        if len(selection.names) == 1:
            queue = self._queues.get(selection.names[0])
            return [] if queue is None else queue.take_many(self.clock(), limit)
        pairs = []
        while len(pairs) < limit and (pair := self.take(selection)):
            pairs.append(pair)
        return pairs

    # Waiting.

    def enlist(self, waiter, names):
        """Put a waiter at the end of the line of each queue."""
        waiter.reset()
        waiter.queues = [self.queue(name) for name in names]
        for queue in waiter.queues:
            queue.waiters[waiter] = None

    def release(self, waiter):
        """
        Take a waiter out of its lines and pass its wake on.

        This holds at all times: where entries and waiters are, somebody who was
        woken has not come by here yet. So no message waits beside a reader.
        """
        queues, waiter.queues = waiter.queues, ()
        for queue in queues:
            if waiter.counted:
                queue.woken -= 1
            else:
                queue.waiters.pop(waiter, None)
        waiter.counted = False
        for queue in queues:
            self.wake(queue)

    def wake(self, queue):
        """Wake as many waiters as there are entries, less those on their way."""
        while queue.waiters and len(queue.entries) > queue.woken:
            waiter = next(iter(queue.waiters))
            if self._call(waiter):
                waiter.counted = True
                for other in waiter.queues:
                    other.woken += 1

    def end_waiting(self):
        """Wake all waiters for good."""
        self.closings += 1
        for queue in self._queues.values():
            while queue.waiters:
                self._call(next(iter(queue.waiters)))

    def _call(self, waiter):
        for queue in waiter.queues:
            del queue.waiters[waiter]
        return waiter.wake()

    # Groups.

    def group_add(self, group, channel):
        """Make a channel a member, unless it is closed."""
        queue = self._queues.get(queue_of(channel))
        if queue is not None and queue.is_closed(channel):
            return
        deadline = self.clock() + self._group_expiry
        self.groups.add(group, channel, deadline)
        if "!" not in channel and group not in self._planned:
            self._planned.add(group)
            self._plan(deadline, self._visit_group, group)

    # Care.

    def statistics(self, name=None):
        """Return the counters of one queue or of all that ever were."""
        now = self.clock()
        if name is not None:
            queue = self._queues.get(name) or ChannelQueue(name, 1, now)
            return queue.statistics(now, self._expiry)
        parts = (q.statistics(now, self._expiry) for q in self._queues.values())
        return add_up(parts, self._past)

    def queues(self):
        """Return {name: statistics with the number of readers} of all queues."""
        now = self.clock()
        return {
            name: {
                **queue.statistics(now, self._expiry),
                "readers": len(queue.waiters) + queue.woken,
            }
            for name, queue in self._queues.items()
        }

    def group_sizes(self):
        """Return {group: how many inboxes and channels are in it}."""
        return self.groups.sizes(self.clock())

    def flush(self):
        """Drop all messages and groups."""
        for queue in self._queues.values():
            queue.drop_all()
        self.groups = Groups()

    def _plan(self, when, visit, what):
        heapq.heappush(self._visits, (when, next(self._serial), visit, what))
        self._next_visit = self._visits[0][0]

    def _sweep(self, now):
        """Visit some of those whose time has come, whoever abandoned them."""
        for _ in range(SWEEP_LIMIT):
            if now < self._next_visit:
                return
            _, _, visit, what = heapq.heappop(self._visits)
            self._next_visit = self._visits[0][0] if self._visits else float("inf")
            again = visit(what, now)
            if again is not None:
                self._plan(again, visit, what)

    def _visit_queue(self, queue, now):
        if self._queues.get(queue.name) is not queue:
            return None
        queue.expire(now)
        if queue.entries or queue.waiters or queue.woken or queue.open:
            return now + self._expiry
        if "?" in queue.name or queue.sent + queue.refused == queue.visited:
            self.forget(queue)
            return None
        queue.visited = queue.sent + queue.refused
        return now + max(self._expiry, MEMORY_SECONDS)

    def _visit_group(self, group, now):
        again = self.groups.expire(group, now)
        if again is None:
            self._planned.discard(group)
        return again
