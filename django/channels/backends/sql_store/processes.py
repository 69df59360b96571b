"""
The processes in the tables: their leases, and what they wait for.

In: steps of store.py, and queues.py when something comes. Out: rows, and rings,
which leave with the commit (NOTIFY) or after it (datagrams).
"""

from ..shared.store import (
    LEASE_SECONDS,
    MEMORY_SECONDS,
    SINGLE_READER_MEMORY_SECONDS,
    UNCLAIMED_SECONDS,
)

SECOND = 1_000_000
# Seconds between two times that somebody clears up, and how many rows at a time.
PRUNE_SECONDS = 20
PRUNE_LIMIT = 500


class Processes:
    """The operations on processes; each method is given the running Step."""

    def __init__(self, dialect):
        self._notify = dialect.notify if dialect.can_notify else None
        self._enlist = dialect.insert(
            "INSERT INTO {waiter} (queue, process, since) VALUES (%s, %s, %s)"
        )

    # Leases.

    def enroll(self, step, incarnation, host, address):
        """Give a new process its lease; return the time."""
        step.execute(
            "INSERT INTO {process} (incarnation, host, address, lease) "
            "VALUES (%s, %s, %s, %s)",
            (incarnation, host, address, step.now + LEASE_SECONDS * SECOND),
        )
        return step.now

    def renew(self, step, incarnation):
        """Renew a lease; return the time, or None if it was not there any more."""
        now = step.now
        count = step.execute(
            "UPDATE {process} SET lease = %s WHERE incarnation = %s AND lease > %s",
            (now + LEASE_SECONDS * SECOND, incarnation, now),
        )
        return now if count == 1 else None

    def resign(self, step, incarnation):
        """End what a process waits for."""
        step.execute("DELETE FROM {waiter} WHERE process = %s", (incarnation,))

    # Waiting.

    def enlist(self, step, names, incarnation):
        """Have a process rung when something comes to one of the queues."""
        for name in names:
            step.execute(self._enlist, (name, incarnation, step.now))

    def waits(self, step, incarnation):
        """Return the queues for which a process was not rung yet."""
        found = step.rows(
            "SELECT queue FROM {waiter} WHERE process = %s", (incarnation,)
        )
        return {name for name, in found}

    def ring(self, step, queue, count, but=""):
        """Ring up to ``count`` processes that wait for a queue, first come first."""
        if not count:
            return
        found = step.rows(
            "SELECT process, host, address FROM {waiter} "
            "JOIN {process} ON incarnation = process "
            "WHERE queue = %s AND process <> %s AND lease > %s "
            "ORDER BY since LIMIT %s",
            (queue, but, step.now, count),
        )
        for process, host, address in found:
            step.execute(
                "DELETE FROM {waiter} WHERE queue = %s AND process = %s",
                (queue, process),
            )
            if self._notify is not None:
                self._notify(step, process, queue)
            else:
                step.rings.append((process, host, address, queue))

    # Clearing up.

    def is_time(self, step):
        """Return whether nobody has cleared up for a while; note that one does."""
        now = step.now
        count = step.execute(
            "UPDATE {meta} SET number = %s WHERE name = 'pruned' AND number <= %s",
            (now, now - PRUNE_SECONDS * SECOND),
        )
        return count == 1

    def prune(self, step):
        """Forget dead processes; return (incarnation, host, address) of each."""
        dead = step.rows(
            "SELECT incarnation, host, address FROM {process} WHERE lease <= %s "
            "ORDER BY incarnation",
            (step.now,),
        )
        for incarnation, _, _ in dead:
            self.resign(step, incarnation)
            step.execute("DELETE FROM {member} WHERE owner = %s", (incarnation,))
            step.execute("DELETE FROM {process} WHERE incarnation = %s", (incarnation,))
        return dead

    def prune_queues(self, step, queues):
        """Drop what expired, and forget queues that nobody has used for long."""
        for row in queues.lock_due(step, PRUNE_LIMIT):
            queues.purge(step, row)
            queues.save(step, row)
        now = step.now
        step.execute("DELETE FROM {member} WHERE until <= %s", (now,))
        idle = step.rows(
            "SELECT name FROM {queue} WHERE pending = 0 "
            "AND (used <= %s OR used <= %s AND name LIKE %s) "
            "AND NOT EXISTS (SELECT 1 FROM {waiter} WHERE queue = name) "
            "AND NOT EXISTS (SELECT 1 FROM {process} WHERE incarnation = owner) "
            "AND NOT EXISTS (SELECT 1 FROM {member} WHERE {member}.name = {queue}.name)"
            f" ORDER BY name LIMIT {PRUNE_LIMIT}",
            (
                now - MEMORY_SECONDS * SECOND,
                now - SINGLE_READER_MEMORY_SECONDS * SECOND,
                "%?%",
            ),
        )
        if not idle:
            return
        for row in queues.lock(step, [name for name, in idle]).values():
            if not row.pending and row.used <= now - _memory_of(row) * SECOND:
                queues.drop(step, row)
                step.execute("DELETE FROM {queue} WHERE name = %s", (row.name,))


def _memory_of(row):
    """Return for how many seconds a queue without messages outlives its last use."""
    if "?" in row.name:
        return SINGLE_READER_MEMORY_SECONDS
    # Control entries, which do not expire, wait for a first claim.
    return UNCLAIMED_SECONDS if row.size and not row.owner else MEMORY_SECONDS
