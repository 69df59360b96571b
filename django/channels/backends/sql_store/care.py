"""
What is asked of the tables by humans, and flushing.

In: steps of store.py. Out: numbers and lines of text.
"""

from .processes import PRUNE_LIMIT
from .queues import Row
from .tables import QUEUE_COLUMNS


class Care:
    """Statistics and the like; each method is given the running Step."""

    def __init__(self, queues, expiry):
        self._queues = queues
        self._expiry = expiry

    def statistics(self, step, name):
        """Return the statistics of one queue."""
        row = self._queues.lock(step, [name]).get(name)
        if row is None:
            return _unknown(name).statistics(step.now, None, self._expiry)
        self._queues.purge(step, row)
        self._queues.save(step, row)
        (oldest,) = step.row(
            "SELECT MIN(deadline) FROM {entry} WHERE queue = %s", (name,)
        )
        return row.statistics(step.now, oldest, self._expiry)

    def totals(self, step):
        """Return the sums of all queues."""
        self._purge_all(step)
        found = step.row("SELECT MIN(deadline) FROM {entry}")
        totals = _unknown("").statistics(step.now, found[0], self._expiry)
        for row in self._queues.all(step):
            statistics = row.statistics(step.now, None, self._expiry)
            for key, value in statistics.items():
                totals[key] += value
        return totals

    def queues(self, step):
        """See Store.queues()."""
        self._purge_all(step)
        oldest = dict(
            step.rows("SELECT queue, MIN(deadline) FROM {entry} GROUP BY queue")
        )
        waiting = dict(
            step.rows(
                "SELECT queue, COUNT(*) FROM {waiter} "
                "JOIN {process} ON incarnation = process WHERE lease > %s "
                "GROUP BY queue",
                (step.now,),
            )
        )
        return {
            row.name: (
                row.statistics(step.now, oldest.get(row.name), self._expiry),
                waiting.get(row.name, 0),
            )
            for row in self._queues.all(step)
        }

    def processes(self, step):
        """Return how many processes have a lease."""
        (count,) = step.row(
            "SELECT COUNT(*) FROM {process} WHERE lease > %s", (step.now,)
        )
        return count

    def flush(self, step, control):
        """See Store.flush()."""
        self._purge_all(step)
        names = [name for name, in step.rows("SELECT name FROM {queue} ORDER BY name")]
        for begin in range(0, len(names), PRUNE_LIMIT):
            chunk = names[begin : begin + PRUNE_LIMIT]
            for row in self._queues.lock(step, chunk).values():
                if row.size or row.missed:
                    self._queues.drop(step, row)
                if row.owner:
                    self._queues.put_control(step, row, 0, control)
        step.execute("DELETE FROM {member}")

    def _purge_all(self, step):
        while rows := self._queues.lock_due(step, PRUNE_LIMIT):
            for row in rows:
                self._queues.purge(step, row)
                self._queues.save(step, row)


def _unknown(name):
    """Return the Row of a queue that was never used."""
    row = Row((name, *(0 for _ in QUEUE_COLUMNS)))
    row.owner, row.soonest = "", None
    return row
