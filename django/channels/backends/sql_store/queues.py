"""
The queues in the tables: what append, take and the like do in a transaction.

In: steps of store.py. Out: rows. Whoever changes a queue has locked its row;
several are locked in the order of their names.
"""

from functools import lru_cache
from operator import attrgetter

from ..shared.store import Entry
from .tables import QUEUE_COLUMNS

SECOND = 1_000_000
# How many entries are read at a time.
READ_LIMIT = 1000
# {key of statistics(): the column}, for those that are counted.
COUNTERS = {
    "messages_count": "sent",
    "delivered_count": "delivered",
    "dropped_count": "dropped",
    "expired_count": "expired",
    "channel_full_count": "refused",
}

_SELECT = f"SELECT name, {', '.join(QUEUE_COLUMNS)} FROM {{queue}}"
_UPDATE = (
    f"UPDATE {{queue}} SET {', '.join(f'{c} = %s' for c in QUEUE_COLUMNS)} "
    "WHERE name = %s"
)


@lru_cache(maxsize=256)
def marks(count):
    """Return "%s, %s, …" for so many values."""
    return ", ".join(["%s"] * count)


@lru_cache(maxsize=256)
def _select_some(count, for_update):
    return f"{_SELECT} WHERE name IN ({marks(count)}) ORDER BY name{for_update}"


class Row:
    """A queue as it is in its table."""

    __slots__ = ("name", *QUEUE_COLUMNS)

    def __init__(self, values):
        (
            self.name,
            self.owner,
            self.head,
            self.tail,
            self.pending,
            self.controls,
            self.missed,
            self.soonest,
            self.used,
            self.sent,
            self.delivered,
            self.dropped,
            self.expired,
            self.refused,
            self.bucket,
            self.sent_base,
            self.sent_last,
            self.refused_base,
            self.refused_last,
        ) = values

    @property
    def size(self):
        """How many entries there are, control entries too."""
        return self.pending + self.controls

    def use(self, now):
        """Note that the queue is used, and begin another second if one is over."""
        self.used = now
        if now < self.bucket:
            return
        fresh = now - self.bucket < SECOND
        self.sent_last = self.sent - self.sent_base if fresh else 0
        self.refused_last = self.refused - self.refused_base if fresh else 0
        self.sent_base, self.refused_base = self.sent, self.refused
        self.bucket = self.bucket + SECOND if fresh else now + SECOND

    def statistics(self, now, oldest, expiry):
        """Return what BaseChannelLayer.statistics() does."""
        self.use(now)
        part = min((self.bucket - now) / SECOND, 1)
        sent = self.sent - self.sent_base + self.sent_last * part
        refused = self.refused - self.refused_base + self.refused_last * part
        age = 0 if oldest is None else expiry - (oldest - now) / SECOND
        return {
            "messages_count": self.sent,
            "messages_count_per_second": max(sent, 0),
            "messages_pending": self.pending,
            "messages_max_age": max(age, 0),
            "channel_full_count": self.refused,
            "channel_full_count_per_second": max(refused, 0),
            "delivered_count": self.delivered,
            "dropped_count": self.dropped,
            "expired_count": self.expired,
        }


_values = attrgetter(*QUEUE_COLUMNS, "name")


class Queues:
    """The operations on queues; each method is given the running Step."""

    def __init__(self, dialect, processes, expiry):
        self._processes = processes
        self._expiry = int(expiry * SECOND)
        self._for_update = dialect.for_update
        self._for_update_skip = dialect.for_update_skip
        self._insert = dialect.insert("INSERT INTO {queue} (name) VALUES (%s)")

    # Rows.

    def lock(self, step, names, create=False):
        """Return {name: Row} of some queues, locked; make those that are missing."""
        names = sorted(set(names))
        select = _select_some(len(names), self._for_update)
        rows = {values[0]: Row(values) for values in step.rows(select, names)}
        while create and len(rows) < len(names):
            missing = [name for name in names if name not in rows]
            for name in missing:
                step.execute(self._insert, (name,))
            select = _select_some(len(missing), self._for_update)
            rows |= {values[0]: Row(values) for values in step.rows(select, missing)}
        return rows

    def lock_due(self, step, limit):
        """Return Rows in which a message expired, locked; leave out locked ones."""
        select = (
            f"{_SELECT} WHERE soonest <= %s ORDER BY name LIMIT {limit}"
            f"{self._for_update_skip}"
        )
        return [Row(values) for values in step.rows(select, (step.now,))]

    def all(self, step):
        """Return all Rows, as they are."""
        return [Row(values) for values in step.rows(_SELECT)]

    def save(self, step, row):
        """Write a Row that was changed."""
        step.execute(_UPDATE, _values(row))

    def purge(self, step, row):
        """Delete the messages of a queue that expired, and count them."""
        if row.soonest is None or row.soonest > step.now:
            return
        count = step.execute(
            "DELETE FROM {entry} WHERE queue = %s AND deadline <= %s",
            (row.name, step.now),
        )
        row.expired += count
        row.pending -= count
        (row.soonest,) = step.row(
            "SELECT MIN(deadline) FROM {entry} WHERE queue = %s", (row.name,)
        )

    # Sending.

    def append(self, step, batches):
        """See Store.append()."""
        rows = self.lock(step, [name for name, _, _ in batches], create=True)
        counts = []
        for name, capacity, payloads in batches:
            row = rows[name]
            count = self.put(step, row, capacity, payloads)
            self.save(step, row)
            self._processes.ring(step, name, count)
            counts.append(count)
        return counts

    def put(self, step, row, capacity, payloads):
        """Append as many messages as there is room for; return how many."""
        now = step.now
        row.use(now)
        count = len(payloads)
        if row.pending + count > capacity:
            self.purge(step, row)
            room = max(capacity - row.pending, 0)
            row.refused += max(count - room, 0)
            count = min(count, room)
        if not count:
            return 0
        deadline = now + self._expiry
        insert = (
            "INSERT INTO {entry} (queue, position, deadline, mark, payload) "
            "VALUES (%s, %s, %s, 0, %s)"
        )
        name, tail = row.name, row.tail
        if count == 1:
            step.execute(insert, (name, tail, deadline, payloads[0]))
        else:
            step.execute_many(
                insert,
                [
                    (name, tail + index, deadline, payload)
                    for index, payload in enumerate(payloads[:count])
                ],
            )
        row.tail += count
        row.pending += count
        row.sent += count
        row.soonest = deadline if row.soonest is None else min(row.soonest, deadline)
        return count

    def put_control(self, step, row, mark, payload):
        """Append a control entry, and ring."""
        step.execute(
            "INSERT INTO {entry} (queue, position, deadline, mark, payload) "
            "VALUES (%s, %s, NULL, %s, %s)",
            (row.name, row.tail, mark, payload),
        )
        row.tail += 1
        row.controls += 1
        row.use(step.now)
        self.save(step, row)
        self._processes.ring(step, row.name, 1)

    def miss(self, step, row, group):
        """Count a group message that did not fit; put() counted it as refused."""
        row.sent += 1
        row.dropped += 1
        if group is None:
            return
        if not step.execute(
            "UPDATE {missed} SET number = number + 1 "
            "WHERE queue = %s AND group_name = %s",
            (row.name, group),
        ):
            row.missed += 1
            step.execute(
                "INSERT INTO {missed} (queue, group_name, number) VALUES (%s, %s, 1)",
                (row.name, group),
            )

    # Taking.

    def take(self, step, names, limit, incarnation):
        """See Store.take(); an incarnation is to be rung if there is nothing."""
        rows = self.lock(step, names, create=incarnation is not None)
        taken = []
        left = limit
        for name in names:
            row = rows.get(name)
            if row is None or not (row.size or row.missed):
                continue
            entries = self._take_from(step, row, left)
            left -= sum(entry.left is not None for entry in entries)
            if not row.size and row.missed:
                entries += self._take_missed(step, row)
            if row.size:
                self._processes.ring(step, name, 1)
            taken += [(name, entry) for entry in entries]
            row.use(step.now)
            self.save(step, row)
        if not taken and incarnation is not None:
            self._processes.enlist(step, names, incarnation)
            return None
        return taken

    def _take_from(self, step, row, limit):
        self.purge(step, row)
        entries = []
        now = step.now
        while row.size and limit > 0:
            found = step.rows(
                "SELECT position, deadline, mark, payload FROM {entry} "
                "WHERE queue = %s AND position >= %s ORDER BY position LIMIT %s",
                (row.name, row.head, min(limit, READ_LIMIT)),
            )
            last = found[-1][0]
            step.execute(
                "DELETE FROM {entry} WHERE queue = %s AND position BETWEEN %s AND %s",
                (row.name, row.head, last),
            )
            row.head = last + 1
            for _, deadline, mark, payload in found:
                if deadline is None:
                    row.controls -= 1
                    entries.append(Entry(bytes(payload), None, mark))
                else:
                    row.pending -= 1
                    row.delivered += 1
                    limit -= 1
                    left = (deadline - now) / SECOND
                    entries.append(Entry(bytes(payload), left))
        if not row.pending:
            row.soonest = None
        return entries

    def _take_missed(self, step, row):
        found = step.rows(
            "SELECT group_name, number FROM {missed} WHERE queue = %s", (row.name,)
        )
        step.execute("DELETE FROM {missed} WHERE queue = %s", (row.name,))
        row.missed = 0
        return [Entry(None, None, number, group) for group, number in found]

    def give_back(self, step, entries):
        """See Store.give_back()."""
        rows = self.lock(step, [name for name, _, _ in entries], create=True)
        bounds = {}
        for name, payload, left in reversed(entries):
            row = rows[name]
            if left is not None:
                deadline = step.now + int(left * SECOND)
            else:
                if name not in bounds:
                    self.purge(step, row)
                    bounds[name] = self._first_deadline(step, name)
                deadline = step.now + self._expiry
                if bounds[name] is not None:
                    deadline = min(deadline, bounds[name])
            bounds[name] = deadline
            row.head -= 1
            step.execute(
                "INSERT INTO {entry} (queue, position, deadline, mark, payload) "
                "VALUES (%s, %s, %s, 0, %s)",
                (name, row.head, deadline, payload),
            )
            row.delivered -= 1
            row.pending += 1
            row.soonest = min(row.soonest or deadline, deadline)
        for name, row in rows.items():
            row.use(step.now)
            self.save(step, row)
            self._processes.ring(step, name, len(entries))

    def _first_deadline(self, step, name):
        found = step.row(
            "SELECT deadline FROM {entry} WHERE queue = %s AND deadline IS NOT NULL "
            "ORDER BY position LIMIT 1",
            (name,),
        )
        return found and found[0]

    # Both.

    def look(self, step, names):
        """See Store.look()."""
        found = step.rows(
            f"SELECT name FROM {{queue}} WHERE name IN ({marks(len(names))}) "
            "AND (pending > 0 OR controls > 0 OR missed > 0)",
            list(names),
        )
        return [name for name, in found]

    def drop(self, step, row):
        """Drop all that is in a queue, and count the messages."""
        step.execute("DELETE FROM {entry} WHERE queue = %s", (row.name,))
        row.dropped += row.pending
        row.pending = row.controls = 0
        row.head = row.tail
        row.soonest = None
        if row.missed:
            step.execute("DELETE FROM {missed} WHERE queue = %s", (row.name,))
            row.missed = 0
        self.save(step, row)

    def count(self, step, changes):
        """See Store.count()."""
        rows = self.lock(step, changes, create=True)
        for name, counts in changes.items():
            row = rows[name]
            row.use(step.now)
            for key, number in counts.items():
                column = COUNTERS[key]
                setattr(row, column, getattr(row, column) + number)
            self.save(step, row)
