"""
A store in dicts: the reference for all others, for the tests of the layer.

Stores on one World see the same, as processes do. A test can end leases, lose
the data and take the store away.
"""

import threading
import time
from collections import deque

from django.channels.backends.counters import COUNTERS
from django.channels.backends.shared.layer import SharedChannelLayer
from django.channels.backends.shared.store import (
    LEASE_SECONDS,
    UNCLAIMED_SECONDS,
    Entry,
    Store,
)
from django.channels.exceptions import LayerUnavailable
from django.channels.names import new_name


class Queue:
    """Entries are (deadline, payload, mark); control entries have no deadline."""

    def __init__(self):
        self.entries = deque()
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.waiting = {}
        self.missed = {}
        self.claimed_by = ""
        self.sent_at = deque()
        self.refused_at = deque()

    def messages(self):
        return [entry for entry in self.entries if entry[0] is not None]

    def expire(self, now):
        kept = [e for e in self.entries if e[0] is None or e[0] > now]
        self.counters["expired_count"] += len(self.entries) - len(kept)
        self.entries = deque(kept)


class World:
    """What all stores on it share."""

    def __init__(self):
        self.lock = threading.RLock()
        self.clock = time.monotonic
        self.away = False
        self.lose()

    def lose(self):
        """Lose everything, as a server without a disk that restarts."""
        with self.lock:
            self.generation = object()
            self.queues = {}
            # {group: {inbox: [incarnation, count, capacity, deadline]}}
            self.inboxes = {}
            # {group: {channel: (deadline, capacity)}}
            self.plain = {}
            # {incarnation: (end of its lease, its bell)}
            self.leases = {}


class DictStore(Store):
    """One process on a World."""

    def __init__(self, world, expiry):
        self.world = world
        self.expiry = expiry
        self.bell = deque()
        self.rung = threading.Condition(world.lock)
        self.incarnation = new_name("dict?")
        self.generation = None

    def _now(self):
        if self.world.away:
            raise LayerUnavailable("The world is away.")
        return self.world.clock()

    def _queue(self, name):
        queue = self.world.queues.get(name)
        if queue is None:
            queue = self.world.queues[name] = Queue()
        queue.expire(self._now())
        return queue

    def _alive(self, incarnation):
        lease = self.world.leases.get(incarnation)
        return lease is not None and lease[0] > self._now()

    def _ring(self, name, count=1):
        queue = self._queue(name)
        for incarnation in list(queue.waiting)[:count]:
            del queue.waiting[incarnation]
            if self._alive(incarnation):
                self.world.leases[incarnation][1]([(name, None)])

    def _receive_ring(self, rings):
        self.bell.extend(rings)
        self.rung.notify_all()

    def append(self, batches):
        with self.world.lock:
            deadline = self._now() + self.expiry
            return [self._append(*batch, deadline) for batch in batches]

    def _append(self, name, capacity, payloads, deadline):
        queue = self._queue(name)
        count = min(len(payloads), max(capacity - len(queue.messages()), 0))
        queue.entries.extend((deadline, payload, 0) for payload in payloads[:count])
        queue.counters["messages_count"] += count
        queue.counters["channel_full_count"] += len(payloads) - count
        queue.sent_at.extend([self._now()] * count)
        queue.refused_at.extend([self._now()] * (len(payloads) - count))
        self._ring(name, count)
        return count

    def take(self, names, limit, wait=False):
        with self.world.lock:
            taken = []
            messages = 0
            for name in names:
                queue = self._queue(name)
                while queue.entries and messages < limit:
                    deadline, payload, mark = queue.entries.popleft()
                    left = None if deadline is None else deadline - self._now()
                    taken.append((name, Entry(payload, left, mark)))
                    if deadline is not None:
                        queue.counters["delivered_count"] += 1
                        messages += 1
                if not queue.entries:
                    for group, count in queue.missed.items():
                        taken.append((name, Entry(None, None, count, group)))
                    queue.missed = {}
                else:
                    self._ring(name)
            if not taken and wait:
                for name in names:
                    self._queue(name).waiting[self.incarnation] = None
            return taken

    def give_back(self, entries):
        with self.world.lock:
            for name, payload, left in reversed(entries):
                queue = self._queue(name)
                deadline = self._now() + (self.expiry if left is None else left)
                if left is None and queue.messages():
                    deadline = min(deadline, queue.messages()[0][0])
                queue.entries.appendleft((deadline, payload, 0))
                queue.counters["delivered_count"] -= 1
                self._ring(name)

    def drop(self, name):
        with self.world.lock:
            queue = self._queue(name)
            queue.counters["dropped_count"] += len(queue.entries)
            queue.entries.clear()
            for members in self.world.plain.values():
                members.pop(name, None)

    def count(self, changes):
        with self.world.lock:
            for name, counts in changes.items():
                for key, count in counts.items():
                    self._queue(name).counters[key] += count

    def register(self, group, inbox, capacity, control):
        with self.world.lock:
            inboxes = self.world.inboxes.setdefault(group, {})
            owner = self._queue(inbox).claimed_by
            count = inboxes[inbox][1] + 1 if inbox in inboxes else 1
            inboxes[inbox] = [owner, count, capacity, self._now() + UNCLAIMED_SECONDS]
            self._queue(inbox).entries.append((None, control, count))
            self._ring(inbox)
            return count

    def post(self, group, inbox, control):
        with self.world.lock:
            registration = self.world.inboxes.get(group, {}).get(inbox)
            count = 0 if registration is None else registration[1]
            self._queue(inbox).entries.append((None, control, count))
            self._ring(inbox)

    def deregister(self, group, inbox, count):
        with self.world.lock:
            inboxes = self.world.inboxes.get(group, {})
            self._now()
            if inbox not in inboxes or inboxes[inbox][1] != count:
                return inbox not in inboxes
            del inboxes[inbox]
            if not inboxes:
                del self.world.inboxes[group]
            return True

    def claim(self, registrations, inboxes):
        with self.world.lock:
            for inbox in inboxes:
                self._queue(inbox).claimed_by = self.incarnation
            for group, inbox, capacity, count in registrations:
                known = self.world.inboxes.setdefault(group, {})
                if inbox in known:
                    count = max(count, known[inbox][1])
                known[inbox] = [self.incarnation, count, capacity, self._now()]

    def is_foreign(self, inbox):
        with self.world.lock:
            owner = self._queue(inbox).claimed_by
            return owner not in ("", self.incarnation) and self._alive(owner)

    def add(self, group, channel, capacity, seconds):
        with self.world.lock:
            members = self.world.plain.setdefault(group, {})
            members[channel] = (self._now() + seconds, capacity)

    def remove(self, group, channel):
        with self.world.lock:
            self._now()
            self.world.plain.get(group, {}).pop(channel, None)

    def send_group(self, group, payload):
        with self.world.lock:
            now = self._now()
            inboxes = self.world.inboxes.get(group, {})
            for inbox, (owner, _, capacity, deadline) in list(inboxes.items()):
                if self._alive(owner) if owner else deadline > now:
                    self._send_to(group, inbox, capacity, payload, now)
                else:
                    del inboxes[inbox]
            members = self.world.plain.get(group, {})
            for channel, (deadline, capacity) in list(members.items()):
                if deadline > now:
                    self._send_to(None, channel, capacity, payload, now)
                else:
                    del members[channel]

    def _send_to(self, group, name, capacity, payload, now):
        if self._append(name, capacity, [payload], now + self.expiry):
            return
        queue = self._queue(name)
        queue.counters["messages_count"] += 1
        queue.counters["dropped_count"] += 1
        queue.sent_at.append(now)
        if group is not None:
            queue.missed[group] = queue.missed.get(group, 0) + 1

    def renew(self):
        with self.world.lock:
            same = self.generation in (None, self.world.generation)
            kept = self.generation is None or self._alive(self.incarnation)
            if not (same and kept):
                self.incarnation = new_name("dict?")
            lease = (self._now() + LEASE_SECONDS, self._receive_ring)
            self.world.leases[self.incarnation] = lease
            self.generation = self.world.generation
            return same and kept

    def listen(self, timeout, inboxes=()):
        with self.rung:
            self._now()
            if not self.bell:
                self.rung.wait(timeout)
            rings = [ring for ring in self.bell if ring is not None]
            self.bell.clear()
            return rings

    def interrupt(self):
        with self.rung:
            self._receive_ring([None])

    def look(self, names):
        with self.world.lock:
            self._now()
            queues = self.world.queues
            return [n for n in names if n in queues and self._queue(n).entries]

    def pass_on(self, name):
        with self.world.lock:
            if self._queue(name).entries:
                self._ring(name)

    def statistics(self, name=None):
        with self.world.lock:
            now = self._now()
            names = list(self.world.queues) if name is None else [name]
            total = dict.fromkeys(COUNTERS, 0)
            total |= {"messages_pending": 0, "messages_max_age": 0}
            total["messages_count_per_second"] = 0
            total["channel_full_count_per_second"] = 0
            for queue in map(self._queue, names):
                for key in COUNTERS:
                    total[key] += queue.counters[key]
                messages = queue.messages()
                total["messages_pending"] += len(messages)
                if messages:
                    age = now - (messages[0][0] - self.expiry)
                    total["messages_max_age"] = max(total["messages_max_age"], age)
                for key, times in (
                    ("messages_count_per_second", queue.sent_at),
                    ("channel_full_count_per_second", queue.refused_at),
                ):
                    total[key] += len([t for t in times if t > now - 1])
            return total

    def queues(self):
        with self.world.lock:
            return {
                name: (self.statistics(name), len(self.world.queues[name].waiting))
                for name in list(self.world.queues)
            }

    def groups(self):
        with self.world.lock:
            self._now()
            names = {*self.world.inboxes, *self.world.plain}
            counts = {
                name: (
                    len(self.world.inboxes.get(name, ())),
                    sum(
                        deadline > self._now()
                        for deadline, _ in self.world.plain.get(name, {}).values()
                    ),
                )
                for name in names
            }
            return {name: pair for name, pair in counts.items() if any(pair)}

    def describe(self):
        return ["kept in dicts"]

    def flush(self, control):
        with self.world.lock:
            for queue in map(self._queue, list(self.world.queues)):
                queue.counters["dropped_count"] += len(queue.messages())
                queue.entries.clear()
                queue.missed = {}
                if queue.claimed_by:
                    queue.entries.append((None, control, 0))
            self.world.inboxes = {}
            self.world.plain = {}

    def close(self):
        pass

    def leave(self):
        pass


class DictChannelLayer(SharedChannelLayer):
    """A shared layer on dicts. A forked child starts with another world."""

    spans_processes = False

    def __init__(self, world=None, **options):
        self.world = world or World()
        super().__init__(**options)

    def make_store(self):
        return DictStore(self.world, self.expiry)

    def after_fork(self):
        self.world = World()
        super().after_fork()
