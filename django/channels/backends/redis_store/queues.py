"""
The store's calls for queues: append, take, accept and what corrects them.

In: store.py. Out: the scripts append, take, accept, give_back, drop and count.
"""

from django.channels.exceptions import LayerUnavailable

from ..shared.store import Entry, Store
from .entries import StreamEntry, key_of, pack_run, read_elements

# What statistics call the counters, and the scripts.
COUNTERS = {
    "messages_count": "sent",
    "delivered_count": "delivered",
    "dropped_count": "dropped",
    "expired_count": "expired",
}
# What all ids come after.
NO_ID = b"0-0"
# How many entries of an inbox are taken when it asks to be looked into.
NUDGED_LIMIT = 1000
# Up to how many bytes of messages are sent, and read, without a thread.
FLIGHT_BYTES = 65536
AT_HAND_BYTES = 16384


class QueueCalls(Store):
    """The part of RedisStore that is about queues."""

    def _start_queues(self):
        # {inbox: the last entry that this process has got}
        self._cursors = {}
        # The inboxes whose streams may have gone, or may have given more than came.
        self._doubtful = set()

    def append(self, batches):
        if len(self._shards) == 1:
            return self._append(self._shards[0], batches)
        stored = {}
        parts = {}
        for batch in batches:
            parts.setdefault(self._shard_of(batch[0]), []).append(batch)
        for shard, part in parts.items():
            counts = self._append(shard, part)
            stored.update(zip((batch[0] for batch in part), counts))
        return [stored[batch[0]] for batch in batches]

    def begin_append(self, batches):
        size = sum(len(p) for _, _, payloads in batches for p in payloads)
        if size > FLIGHT_BYTES or len(self._shards) > 1:
            return None

        def finish(stored):
            return stored or [len(payloads) for _, _, payloads in batches]

        words = self._append_words(batches)
        return self._shards[0].begin_once("append", words, finish)

    def _append(self, shard, batches):
        stored = shard.run_once("append", *self._append_words(batches))
        # Nothing is kept of a call that stored all.
        return stored or [len(payloads) for _, _, payloads in batches]

    def _append_words(self, batches):
        words = [self._expiry_ms]
        for queue, capacity, payloads in batches:
            words += (queue, capacity, len(payloads))
            if queue[-1] == "!":
                words.append(pack_run(payloads))
            else:
                words += payloads
        return words

    # Taking.

    def take(self, names, limit, wait=False):
        if len(self._shards) == 1:
            return self._take(self._shards[0], names, limit, wait)
        taken = []
        for shard, part in self._runs(names):
            found = self._take(shard, part, limit, False)
            limit -= sum(entry.left is not None for _, entry in found)
            taken += found
            if limit <= 0:
                break
        if taken or not wait:
            return taken
        for shard, part in self._by_shard(names).items():
            taken += self._take(shard, part, limit, True)
            if taken:
                break
        return taken

    def _runs(self, names):
        """Return [(shard, names that follow each other there), …]."""
        runs = []
        for name in names:
            shard = self._shard_of(name)
            if not runs or runs[-1][0] is not shard:
                runs.append((shard, []))
            runs[-1][1].append(name)
        return runs

    def _take(self, shard, names, limit, wait):
        words = []
        for name in names:
            cursor = self._cursors.get(name, b"") if name[-1] == "!" else b""
            words += (name, cursor)
        if wait:
            self._watch(shard)
        waits = self.incarnation if wait else ""
        reply = shard.run_take(self._name, limit, waits, self._expiry_ms, *words)
        now = reply[0]
        taken = []
        for index, kind, found in reply[1:]:
            name = names[index]
            if kind == b"l":
                taken += [(name, entry) for entry in read_elements(found, now)]
            elif kind == b"m":
                taken += [(name, entry) for entry in _read_missed(found)]
            elif kind == b"c":
                self._cursors[name] = found
            else:
                for entry in map(StreamEntry, found):
                    taken += [(name, e) for e in entry.entries(now)]
                self._cursors[name] = found[-1][0]
        return taken

    def _open_inboxes(self, shard, names):
        """Become the reader of inboxes, unless that is known to be so."""
        cursors = self._cursors
        if not self._doubtful and all(name in cursors for name in names):
            return
        names = [n for n in names if n not in cursors or n in self._doubtful]
        known = [cursors.get(name, b"") for name in names]
        words = [word for pair in zip(names, known) for word in pair]
        # First: what is doubtful from now on is not less so by this.
        self._doubtful.difference_update(names)
        try:
            reply = shard.run("open_inboxes", self._name, self._expiry_ms, *words)
        except LayerUnavailable:
            self._doubtful.update(names)
            raise
        for name, before, cursor in zip(names, known, reply):
            # Another thread that takes may have come further.
            if cursors.get(name, b"") == before:
                cursors[name] = cursor

    def accept(self, inbox, offered):
        cursor = before = self._cursors.get(inbox)
        entries = []
        words = []
        is_nudged = cursor is None
        shard = self._shard_of(inbox)
        now = self._now(shard)
        last = key_of(cursor or NO_ID)
        for raw in offered if cursor else ():
            entry = StreamEntry(raw)
            if entry.key <= last:
                continue
            cursor, last = entry.id, entry.key
            is_nudged |= entry.kind == b"w"
            found = entry.entries(now)
            entries += found
            if found or entry.kind != b"m":
                words += (cursor, entry.count, 0)
            else:
                words += (cursor, 0, entry.count)
        if words:
            self._cursors[inbox] = cursor
            words = [inbox, before, len(words) // 3, *words]
        self._watch(shard).accept(words)
        if is_nudged:
            entries += [e for _, e in self.take([inbox], NUDGED_LIMIT)]
        return entries

    def is_at_hand(self, inbox, offered):
        if inbox not in self._cursors or self._shard_of(inbox) not in self._offsets:
            return False
        size = 0
        for _, (header, run, *_) in offered:
            size += len(run)
            # Control entries have the store asked, and nudges say where to look.
            if header[:1] != b"m" or size > AT_HAND_BYTES:
                return False
        return True

    # Correcting.

    def give_back(self, entries):
        parts = {}
        for queue, payload, left in reversed(entries):
            left = "" if left is None else int(left * 1000)
            words = parts.setdefault(self._shard_of(queue), [self._expiry_ms])
            words += (queue, left, payload)
        for shard, words in parts.items():
            shard.run_once("give_back", *words)

    def drop(self, queue):
        # Its memberships are where it is, see GroupCalls.
        self._shard_of(queue).run("drop", queue, self._expiry_ms)

    def count(self, changes):
        parts = {}
        for queue, counts in changes.items():
            words = parts.setdefault(self._shard_of(queue), [self._expiry_ms])
            for key, number in counts.items():
                words += (queue, COUNTERS[key], number)
        for shard, words in parts.items():
            shard.run_once("count", *words)


def _read_missed(found):
    groups = iter(found)
    return [
        Entry(None, None, int(count), group.decode())
        for group, count in zip(groups, groups)
    ]
