"""
One step of a store: what an LMDB transaction reads and will write.

In: queues.py and groups.py. Out: LMDB, all at once at the end, because each call
of LMDB gives other threads the chance to keep the lock of all processes waiting.
"""

from . import records
from .handing import LARGEST
from .records import COUNTERS, FOREVER, HEADER, SEQUENCE, Queue


class Busy(Exception):
    """Raised where an event loop would have to wait for others, or to work for long."""


class Transaction:
    """A step at a time ``now``; finish() writes what it changed."""

    __slots__ = (
        *("get", "delete", "now", "puts", "rings", "handed", "made"),
        *("_cursor", "_queues", "_expectations"),
    )

    def __init__(self, txn, now, expectations):
        self.get = txn.get
        self.delete = txn.delete
        self.now = now
        # Pairs of key and value.
        self.puts = []
        # {process: the queues for which to ring it}
        self.rings = {}
        # What to hand over: (process, inbox, deadline, payload).
        self.handed = []
        # How many queues are new.
        self.made = 0
        self._cursor = txn.cursor()
        self._queues = {}
        self._expectations = expectations

    def find(self, name):
        """Return a queue without its expired messages, or None."""
        queue = self._queues.get(name)
        if queue is None:
            value = self.get(records.queue_key(name))
            if value is None:
                return None
            queue = self._queues[name] = Queue(name, value)
            if queue.earliest <= self.now:
                self._expire(queue)
        return queue

    def queue(self, name):
        """Return a queue to change, made if it is not there."""
        queue = self.find(name)
        if queue is None:
            queue = self._queues[name] = Queue(name)
            self.made += 1
        queue.changed = True
        queue.used = self.now
        return queue

    def forget(self, queue):
        """Delete a queue that has no entries; its counters stay in the sums."""
        totals = records.unpack_totals(self.get(records.TOTALS_KEY))
        counters = (getattr(queue, key) for key in COUNTERS)
        totals = (total + count for total, count in zip(totals, counters))
        self._cursor.putmulti([(records.TOTALS_KEY, records.pack_totals(totals))])
        self.delete(queue.key)
        del self._queues[queue.name]

    def finish(self):
        """Write all that changed."""
        puts = self.puts
        for queue in self._queues.values():
            if queue.changed:
                puts.append((queue.key, queue.pack()))
        if puts:
            self._cursor.putmulti(puts)

    def scan(self, start, prefix=None):
        """Yield the items from a key on, those with a prefix (or that start)."""
        prefix = start if prefix is None else prefix
        # Another cursor: what is done with an item may move that of this one.
        cursor = self._cursor
        key = start
        while cursor.set_range(key):
            key, value = cursor.item()
            if not key.startswith(prefix):
                return
            yield key, value
            key += b"\0"

    # Entries.

    def add(self, queue, payloads, deadline=FOREVER, mark=0, control=False):
        """Append entries to a queue, at its end."""
        header = HEADER.pack(deadline, mark, control)
        prefix, first, pack = queue.key, queue.tail, SEQUENCE.pack
        self.puts += [
            (prefix + pack(number), header + payload)
            for number, payload in enumerate(payloads, first)
        ]
        queue.tail += len(payloads)
        queue.entries += len(payloads)
        if not control:
            queue.messages += len(payloads)
            queue.earliest = min(queue.earliest, deadline)

    def add_first(self, queue, payload, deadline):
        """Put a message before all entries of a queue."""
        queue.head -= 1
        key = queue.key + SEQUENCE.pack(queue.head)
        self.puts.append((key, HEADER.pack(deadline, 0, False) + payload))
        queue.entries += 1
        queue.messages += 1
        queue.earliest = min(queue.earliest, deadline)

    def first_deadline(self, queue):
        """Return when the first message of a queue expires, or None."""
        if queue.messages:
            for _, value in self.scan(queue.key + SEQUENCE.pack(queue.head), queue.key):
                deadline, _, control = HEADER.unpack_from(value)
                if not control:
                    return deadline
        return None

    def pop(self, queue, limit):
        """
        Yield (deadline, mark, control, payload) of entries, and delete them.

        Only messages count for the limit.
        """
        cursor, prefix = self._cursor, queue.key
        unpack, size = HEADER.unpack_from, HEADER.size
        found = cursor.set_range(prefix + SEQUENCE.pack(queue.head))
        count = messages = 0
        last = None
        while found and messages < limit:
            key, value = cursor.item()
            if not key.startswith(prefix):
                break
            last = key
            deadline, mark, control = unpack(value)
            count += 1
            if not control:
                messages += 1
            yield deadline, mark, control, value[size:]
            found = cursor.delete()
        if count:
            queue.changed = True
            queue.used = self.now
            queue.entries -= count
            queue.messages -= messages
            (queue.head,) = SEQUENCE.unpack(last[-8:])
            queue.head += 1
            if not queue.messages:
                queue.earliest = FOREVER

    def _expire(self, queue):
        """Delete the messages whose time is over, wherever they stand."""
        earliest = FOREVER
        expired = []
        for key, value in self.scan(queue.key + SEQUENCE.pack(queue.head), queue.key):
            deadline, _, control = HEADER.unpack_from(value)
            if control:
                continue
            if deadline <= self.now:
                expired.append(key)
            else:
                earliest = min(earliest, deadline)
        for key in expired:
            self.delete(key)
        queue.earliest = earliest
        queue.entries -= len(expired)
        queue.messages -= len(expired)
        queue.expired += len(expired)
        # Looking is no use: the time of the last one stays.
        queue.changed = True

    def hand_over(self, queue, payloads, deadline):
        """Return whether a receive waits for what is to be sent, and is to have it."""
        if (
            not queue.is_inbox
            or queue.entries
            or queue.missed
            or len(queue.waiters) != 1
            or len(payloads) != 1
            or len(payloads[0]) > LARGEST
            or not self._expectations.serve(queue.waiters[0], queue.name)
        ):
            return False
        self.handed.append((queue.waiters[0], queue.name, deadline, payloads[0]))
        queue.delivered += 1
        return True

    # Waiting processes.

    def lives(self, process):
        """Return whether a process is registered."""
        return self.get(records.process_key(process)) is not None

    def wake(self, queue, count, but=0):
        """Plan rings for waiting processes, as many as ``count``, but not for one."""
        waiters = queue.waiters
        if not waiters:
            return
        queue.changed = True
        kept = []
        for index, process in enumerate(waiters):
            if count <= 0:
                kept += waiters[index:]
                break
            if process == but:
                kept.append(process)
            elif self.lives(process):
                self.rings.setdefault(process, []).append(queue.name)
                count -= 1
        queue.waiters = kept
