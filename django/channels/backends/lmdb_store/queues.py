"""
What is done with queues: each function is one step, within a transaction.

In: store.py. The rings that a step plans are sent when it is committed.
"""

from itertools import islice

from ..shared.store import Entry
from . import records
from .records import COUNTERS, FOREVER, NUMBER
from .transaction import Busy

# The names that layers have for counters.
_COUNTER_NAMES = {
    "messages_count": "sent",
    "delivered_count": "delivered",
    "dropped_count": "dropped",
    "expired_count": "expired",
}
# How many queues one step of a long list visits.
STRIDE = 500


def append(step, batches, expiry):
    """Append the messages that fit; return how many of each batch did."""
    deadline = FOREVER if expiry is None else step.now + expiry
    stored = []
    for name, capacity, payloads in batches:
        queue = step.queue(name)
        room = max(capacity - queue.messages, 0)
        refused = 0
        if len(payloads) > room:
            refused = len(payloads) - room
            payloads = payloads[:room]
        if payloads and not step.hand_over(queue, payloads, deadline):
            step.add(queue, payloads, deadline)
            step.wake(queue, len(payloads))
        queue.count_sent(step.now, len(payloads), refused)
        stored.append(len(payloads))
    return stored


def append_anyway(step, name, deadline, payload):
    """Append a message that was handed over to a process that is not there."""
    queue = step.queue(name)
    queue.delivered -= 1
    step.add(queue, [payload], deadline)
    step.wake(queue, 1)


def take(step, names, limit, waiter, process, ahead=False):
    """
    Take messages, and what else is before them: [(queue, Entry), …].

    If there is nothing, the process ``waiter`` waits, unless it is 0; with ``ahead``
    also if it has emptied an inbox. Return what was taken, and whether it waits.
    """
    taken = []
    for name in names:
        queue = step.find(name)
        if queue is None or not (queue.entries or queue.missed):
            continue
        if limit <= 0:
            break
        limit -= _take(step, queue, limit, taken)
        if queue.entries and queue.waiters:
            step.wake(queue, 1, but=process)
    waits = bool(waiter) and (not taken or ahead and _is_emptied(step, names))
    if waits:
        for name in names:
            queue = step.find(name)
            if queue is None or waiter not in queue.waiters:
                step.queue(name).waiters.append(waiter)
    return taken, waits


def take_few(step, name, limit, waiter, most):
    """
    Do as take() does with one inbox, if it has up to ``most`` messages and no more.

    Otherwise raise Busy. Afterwards ``waiter`` waits if it is empty.
    """
    queue = step.queue(name)
    if queue.missed or queue.entries != queue.messages or queue.messages > most:
        raise Busy
    taken = []
    if queue.entries:
        _take(step, queue, limit, taken)
    waits = not queue.entries
    if waits and waiter not in queue.waiters:
        queue.waiters.append(waiter)
    return taken, waits


def _is_emptied(step, names):
    """Return whether it is one inbox, with nothing left."""
    queue = step.find(names[0])
    return len(names) == 1 and queue.is_inbox and not (queue.entries or queue.missed)


def _take(step, queue, limit, taken):
    """Add what is taken from a queue; return how many messages it is."""
    name, now = queue.name, step.now
    if queue.missed:
        # What was missed is told after what was before it.
        limit = queue.messages + 1
    before = queue.messages
    taken += [
        (name, Entry(payload, None if deadline == FOREVER else deadline - now, mark))
        for deadline, mark, _, payload in step.pop(queue, limit)
    ]
    if queue.missed:
        for group, count in _pop_missed(step, queue):
            taken.append((name, Entry(None, None, count, group)))
    count = before - queue.messages
    queue.delivered += count
    return count


def _pop_missed(step, queue):
    prefix = records.missed_key(queue.name)
    missed = list(step.scan(prefix))
    for key, _ in missed:
        step.delete(key)
    queue.missed = 0
    queue.changed = True
    return [
        (key[len(prefix) :].decode(), *NUMBER.unpack(value)) for key, value in missed
    ]


def give_back(step, entries, expiry):
    """Put messages at the heads of their queues, the first one first."""
    life = FOREVER if expiry is None else expiry
    heads = {}
    for name, payload, left in reversed(entries):
        queue = step.queue(name)
        deadline = step.now + (life if left is None else left)
        if left is None:
            head = heads.get(name) or step.first_deadline(queue)
            deadline = min(deadline, FOREVER if head is None else head)
        heads[name] = deadline
        step.add_first(queue, payload, deadline)
        queue.delivered -= 1
        step.wake(queue, 1)


def drop(step, name):
    """Drop what a single-reader channel holds, and its memberships."""
    prefix = records.index_key(name)
    for key, _ in list(step.scan(prefix)):
        step.delete(key)
        step.delete(records.registration_key(key[len(prefix) :].decode(), name))
    if queue := step.find(name):
        clear(step, queue)


def clear(step, queue):
    """Drop all entries of a queue, and what it missed."""
    count = queue.messages
    for _ in step.pop(queue, FOREVER):
        pass
    queue.dropped += count
    if queue.missed:
        _pop_missed(step, queue)


def count(step, changes):
    """Change counters: {queue: {key of statistics(): number}}."""
    for name, counts in changes.items():
        queue = step.queue(name)
        for key, number in counts.items():
            attribute = _COUNTER_NAMES[key]
            setattr(queue, attribute, getattr(queue, attribute) + number)


def look(step, names):
    """Return those of the queues in which something waits."""
    queues = map(step.find, names)
    return [q.name for q in queues if q is not None and (q.entries or q.missed)]


def pass_on(step, name, process):
    """Ring another process for a queue if something waits there."""
    queue = step.find(name)
    if queue is not None and (queue.entries or queue.missed):
        step.wake(queue, 1, but=process)


# Statistics.


def statistics(step, name, expiry):
    """Return the statistics of a queue, all zeros if there is none."""
    queue = step.find(name) or records.Queue(name)
    return _statistics(step, queue, expiry)


def _statistics(step, queue, expiry):
    age = 0
    if expiry is not None and queue.messages:
        deadline = step.first_deadline(queue)
        if deadline is not None:
            age = max(step.now - (deadline - expiry), 0)
    return queue.statistics(step.now, age)


def list_some(step, start, expiry):
    """
    Return a part of [(queue, statistics, how many wait), …] and what follows.

    ``start`` is b"" at first; then what was returned, until that is None.
    """
    found = []
    queues = walk(step, start)
    for queue in islice(queues, STRIDE):
        waiting = sum(map(step.lives, queue.waiters))
        found.append((queue.name, _statistics(step, queue, expiry), waiting))
    following = next(queues, None)
    return found, None if following is None else following.key


def walk(step, start):
    """Yield queues without their expired messages, from a key on."""
    key = start or b"q"
    while item := next(step.scan(key, b"q"), None):
        key = item[0]
        queue = step.find(key[1 : key.index(b"\0")].decode()) if b"\0" in key else None
        if queue is not None:
            yield queue
        # Past its entries and what it missed.
        key = key.partition(b"\0")[0].partition(b"\1")[0] + b"\2"


def forgotten(step):
    """Return the counters of the queues that were forgotten, by their names."""
    totals = records.unpack_totals(step.get(records.TOTALS_KEY))
    return dict(zip(COUNTERS, totals))
