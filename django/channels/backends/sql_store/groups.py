"""
The groups in the tables: which inboxes and plain channels are registered.

In: steps of store.py. Out: rows, and entries by queues.py. Queues are locked
before registrations, and both in the order of their names.
"""

from ..shared.store import UNCLAIMED_SECONDS
from .queues import SECOND


class Groups:
    """The operations on groups; each method is given the running Step."""

    def __init__(self, dialect, queues, ring):
        self._queues = queues
        # Processes.ring
        self._ring = ring
        self._insert = dialect.insert(
            "INSERT INTO {member} (group_name, name, owner, added, capacity, until) "
            "VALUES (%s, %s, %s, %s, %s, %s)"
        )

    # Inboxes.

    def register(self, step, group, inbox, capacity, control):
        """See Store.register()."""
        row = self._queues.lock(step, [inbox], create=True)[inbox]
        until = None if row.owner else step.now + UNCLAIMED_SECONDS * SECOND
        count = 1
        if step.execute(
            "UPDATE {member} SET added = added + 1, owner = %s, capacity = %s, "
            "until = %s WHERE group_name = %s AND name = %s",
            (row.owner, capacity, until, group, inbox),
        ):
            count = self._count(step, group, inbox)
        else:
            step.execute(self._insert, (group, inbox, row.owner, 1, capacity, until))
        self._queues.put_control(step, row, count, control)
        return count

    def post(self, step, group, inbox, control):
        """See Store.post()."""
        row = self._queues.lock(step, [inbox], create=True)[inbox]
        count = self._count(step, group, inbox) or 0
        self._queues.put_control(step, row, count, control)

    def deregister(self, step, group, inbox, count):
        """See Store.deregister()."""
        step.execute(
            "DELETE FROM {member} WHERE group_name = %s AND name = %s AND added = %s",
            (group, inbox, count),
        )
        return self._count(step, group, inbox) is None

    def claim(self, step, registrations, inboxes, incarnation):
        """See Store.claim()."""
        names = {*inboxes, *(inbox for _, inbox, _, _ in registrations)}
        if not names:
            return
        rows = self._queues.lock(step, names, create=True)
        for inbox in inboxes:
            row = rows[inbox]
            row.owner = incarnation
            row.use(step.now)
            self._queues.save(step, row)
        for group, inbox, capacity, count in sorted(registrations):
            if not step.execute(
                "UPDATE {member} SET owner = %s, capacity = %s, until = NULL, "
                "added = CASE WHEN added < %s THEN %s ELSE added END "
                "WHERE group_name = %s AND name = %s",
                (incarnation, capacity, count, count, group, inbox),
            ):
                values = (group, inbox, incarnation, count, capacity, None)
                step.execute(self._insert, values)

    def is_foreign(self, step, inbox, incarnation):
        """See Store.is_foreign()."""
        found = step.row(
            "SELECT incarnation, lease FROM {queue} JOIN {process} "
            "ON incarnation = owner WHERE name = %s",
            (inbox,),
        )
        return bool(found) and found[0] != incarnation and found[1] > step.now

    def _count(self, step, group, inbox):
        found = step.row(
            "SELECT added FROM {member} WHERE group_name = %s AND name = %s",
            (group, inbox),
        )
        return found and found[0]

    # Plain channels.

    def add(self, step, group, channel, capacity, seconds):
        """See Store.add()."""
        until = step.now + int(seconds * SECOND)
        if not step.execute(
            "UPDATE {member} SET capacity = %s, until = %s "
            "WHERE group_name = %s AND name = %s",
            (capacity, until, group, channel),
        ):
            step.execute(self._insert, (group, channel, "", 0, capacity, until))

    def remove(self, step, group, channel):
        """See Store.remove()."""
        step.execute(
            "DELETE FROM {member} WHERE group_name = %s AND name = %s",
            (group, channel),
        )

    def drop(self, step, channel):
        """See Store.drop()."""
        step.execute("DELETE FROM {member} WHERE name = %s", (channel,))
        row = self._queues.lock(step, [channel]).get(channel)
        if row is not None:
            self._queues.purge(step, row)
            self._queues.drop(step, row)

    # Sending.

    def send(self, step, group, payload):
        """See Store.send_group()."""
        members = self._members(step, group)
        capacities = {name: capacity for name, _, capacity, lives in members if lives}
        if capacities:
            rows = self._queues.lock(step, capacities, create=True)
            for name, row in rows.items():
                if self._queues.put(step, row, capacities[name], [payload]):
                    self._queues.save(step, row)
                    self._ring(step, name, 1)
                else:
                    told = group if name[-1] == "!" else None
                    self._queues.miss(step, row, told)
                    self._queues.save(step, row)
        for name, owner, _, lives in members:
            if not lives:
                step.execute(
                    "DELETE FROM {member} WHERE group_name = %s AND name = %s "
                    "AND owner = %s AND (until IS NULL OR until <= %s)",
                    (group, name, owner, step.now),
                )

    def _members(self, step, group):
        """Return [(name, owner, capacity, whether it lives), …]."""
        return [
            (name, owner, capacity, self._lives(step, owner, until, lease))
            for name, owner, capacity, until, lease in step.rows(
                "SELECT name, owner, capacity, until, lease FROM {member} "
                "LEFT JOIN {process} ON incarnation = owner "
                "WHERE group_name = %s ORDER BY name",
                (group,),
            )
        ]

    def _lives(self, step, owner, until, lease):
        end = lease if owner else until
        return end is not None and end > step.now

    def sizes(self, step):
        """See Store.groups()."""
        sizes = {}
        for group, name, owner, until, lease in step.rows(
            "SELECT group_name, name, owner, until, lease FROM {member} "
            "LEFT JOIN {process} ON incarnation = owner ORDER BY group_name"
        ):
            if self._lives(step, owner, until, lease):
                inboxes, plain = sizes.get(group, (0, 0))
                if name[-1] == "!":
                    sizes[group] = (inboxes + 1, plain)
                else:
                    sizes[group] = (inboxes, plain + 1)
        return sizes
