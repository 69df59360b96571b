"""
The queues, where the database carries out the most frequent calls itself.

In: steps of store.py, of one statement. Out: the functions of functions.py.
"""

from ..shared.store import Entry
from .queues import SECOND, Queues


class Calls(Queues):
    """See Queues; and see Groups for send_group()."""

    def append(self, step, batches):
        # Queues are locked in the order of their names.
        order = sorted(range(len(batches)), key=lambda index: batches[index][0])
        ordered = [batches[index] for index in order]
        (stored,) = step.row(
            "SELECT {append}(%s::text[], %s::bigint[], %s::bigint[], %s::bytea[], %s)",
            (
                [name for name, _, _ in ordered],
                [capacity for _, capacity, _ in ordered],
                [len(payloads) for _, _, payloads in ordered],
                [payload for _, _, payloads in ordered for payload in payloads],
                self._expiry,
            ),
        )
        counts = [0] * len(batches)
        for index, count in zip(order, stored):
            counts[index] = count
        return counts

    def take(self, step, names, limit, incarnation):
        found = step.rows(
            "SELECT * FROM {take}(%s::text[], %s, %s)",
            (list(names), limit, incarnation),
        )
        if not found and incarnation is not None:
            return None
        return [
            (
                name,
                Entry(
                    None if payload is None else bytes(payload),
                    None if left is None else left / SECOND,
                    mark,
                    group,
                ),
            )
            for name, payload, left, mark, group in found
        ]

    def send_group(self, step, group, payload):
        """See Groups.send()."""
        step.row("SELECT {send_group}(%s, %s, %s)", (group, payload, self._expiry))
