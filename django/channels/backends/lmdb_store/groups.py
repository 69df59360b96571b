"""
What is done with groups: each function is one step, within a transaction.

In: store.py. A registration is one record for each group and channel, be it an
inbox or a plain channel; an inbox without an owner has not been claimed yet.
"""

from itertools import islice

from ..shared.store import UNCLAIMED_SECONDS
from . import records
from .queues import append, clear, walk
from .records import FOREVER, NUMBER, REGISTRATION
from .transaction import Busy


def register(step, group, inbox, capacity, control):
    """Register an inbox and append a control entry; return the add count."""
    key = records.registration_key(group, inbox)
    queue = step.queue(inbox)
    count = _add_count(step, key) + 1
    _put(step, key, queue.owner, count, capacity)
    _control(step, queue, control, count)
    return count


def post(step, group, inbox, control):
    """Append a control entry to an inbox, registered in the group or not."""
    count = _add_count(step, records.registration_key(group, inbox))
    _control(step, step.queue(inbox), control, count)


def deregister(step, group, inbox, count):
    """End a registration that has this add count; return whether there is none."""
    key = records.registration_key(group, inbox)
    found = _add_count(step, key)
    if found == count:
        step.delete(key)
    return found in (0, count)


def claim(step, registrations, inboxes, process):
    """Write down that inboxes and registrations are those of a process."""
    for inbox in inboxes:
        step.queue(inbox).owner = process
    for group, inbox, capacity, count in registrations:
        key = records.registration_key(group, inbox)
        _put(step, key, process, max(count, _add_count(step, key)), capacity)


def is_foreign(step, inbox, process):
    """Return whether an inbox is that of another process that is alive."""
    queue = step.find(inbox)
    owner = queue.owner if queue else 0
    return owner not in (0, process) and step.lives(owner)


def add(step, group, channel, capacity, seconds):
    """Register a plain channel for some seconds."""
    key = records.registration_key(group, channel)
    value = REGISTRATION.pack(0, 1, capacity, step.now + seconds)
    step.puts.append((key, value))
    if "?" in channel:
        step.puts.append((records.index_key(channel, group), b""))


def remove(step, group, channel):
    """End the registration of a plain channel."""
    step.delete(records.registration_key(group, channel))
    if "?" in channel:
        step.delete(records.index_key(channel, group))


def send_group(step, group, payload, expiry):
    """Append a message to all that is registered; remove what is dead."""
    for channel, capacity in _members(step, group):
        (stored,) = append(step, [(channel, capacity, [payload])], expiry)
        if stored:
            continue
        # append() has counted it as refused.
        queue = step.queue(channel)
        queue.count_sent(step.now, 1)
        queue.dropped += 1
        if queue.is_inbox:
            key = records.missed_key(channel, group)
            value = step.get(key)
            queue.missed += value is None
            missed = 1 if value is None else NUMBER.unpack(value)[0] + 1
            step.puts.append((key, NUMBER.pack(missed)))


def send_to_few(step, group, payload, expiry, most):
    """Do as send_group() does, or raise Busy if more than ``most`` are registered."""
    registered = islice(step.scan(records.registration_key(group)), most + 1)
    if sum(1 for _ in registered) > most:
        raise Busy
    send_group(step, group, payload, expiry)


def _members(step, group):
    """Return [(channel, capacity), …] of what is alive; remove the rest."""
    prefix = records.registration_key(group)
    members = []
    for key, value in list(step.scan(prefix)):
        channel = key[len(prefix) :].decode()
        if is_alive(step, value):
            members.append((channel, REGISTRATION.unpack(value)[2]))
        else:
            remove(step, group, channel)
    return members


def is_alive(step, value):
    """Return whether a registration counts, by its owner or its time."""
    owner, _, _, deadline = REGISTRATION.unpack(value)
    return step.lives(owner) if owner else deadline > step.now


def list_all(step):
    """Return {group: [number of inboxes, number of plain channels]}."""
    groups = {}
    for key, value in step.scan(b"g"):
        if is_alive(step, value):
            group, _, channel = key[1:].decode().partition("\0")
            groups.setdefault(group, [0, 0])[channel[-1] != "!"] += 1
    return groups


def flush(step, control):
    """Drop all entries and registrations; tell it to the claimed inboxes."""
    for queue in list(walk(step, b"")):
        clear(step, queue)
        if queue.owner and step.lives(queue.owner):
            _control(step, queue, control, 0)
    for prefix in (b"g", b"i"):
        for key, _ in list(step.scan(prefix)):
            step.delete(key)


def _add_count(step, key):
    value = step.get(key)
    return REGISTRATION.unpack(value)[1] if value else 0


def _put(step, key, owner, count, capacity):
    deadline = FOREVER if owner else step.now + UNCLAIMED_SECONDS
    step.puts.append((key, REGISTRATION.pack(owner, count, capacity, deadline)))


def _control(step, queue, control, count):
    step.add(queue, [control], mark=count, control=True)
    step.wake(queue, 1)
