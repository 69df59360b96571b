"""
What nobody needs any more: idle queues, and groups of the dead.

In: store.py, once a second and as queues are made. Each sweep goes on where the
last one of this process ended, and visits a limited number of records.
"""

from itertools import islice

from ..shared.store import (
    MEMORY_SECONDS,
    SINGLE_READER_MEMORY_SECONDS,
    UNCLAIMED_SECONDS,
)
from . import groups, queues

# How many queues, or registrations, one sweep visits.
SWEEP_LIMIT = 256
# How many new queues a process makes until it sweeps: they are swept faster than
# they are made.
SWEEP_EVERY = SWEEP_LIMIT // 4


def sweep(step, start):
    """Visit some records from a key on; return the key to go on from."""
    if start[:1] == b"g":
        following = _sweep_groups(step, start)
        return following or b"q"
    return _sweep_queues(step, start) or b"g"


def _sweep_groups(step, start):
    items = list(islice(step.scan(start, b"g"), SWEEP_LIMIT))
    for key, value in items:
        if not groups.is_alive(step, value):
            group, _, channel = key[1:].decode().partition("\0")
            groups.remove(step, group, channel)
    return items[-1][0] + b"\0" if len(items) == SWEEP_LIMIT else None


def _sweep_queues(step, start):
    key = None
    count = 0
    for queue in islice(queues.walk(step, start), SWEEP_LIMIT):
        count += 1
        key = queue.key
        _visit(step, queue)
    return key if count == SWEEP_LIMIT else None


def _visit(step, queue):
    idle = step.now - queue.used
    if queue.messages or idle < SINGLE_READER_MEMORY_SECONDS:
        return
    if queue.owner and step.lives(queue.owner):
        return
    single = "?" in queue.name
    if idle < MEMORY_SECONDS and not single:
        return
    if queue.waiters and (idle < MEMORY_SECONDS or not single):
        alive = [process for process in queue.waiters if step.lives(process)]
        if alive:
            return
    if queue.entries or queue.missed:
        # An inbox, and control entries for whoever would read it.
        if not queue.owner and idle < UNCLAIMED_SECONDS:
            return
        queues.clear(step, queue)
    step.forget(queue)
