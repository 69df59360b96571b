"""
The store of the ipc layer: the contract, put together from its parts.

In: calls of the shared layer, in any thread. Out: one LMDB transaction for each,
and the rings that it planned, once it is committed.
"""

import threading
import time
from contextlib import contextmanager

from django.channels.exceptions import LayerUnavailable

from ..counters import add_up
from . import groups, place, processes, queues, steps
from .bells import Bell
from .environment import share
from .handing import Handed
from .receiving import ReceiveCalls
from .transaction import Transaction

# The keys of statistics(), and the counters that are summed up for them.
_SUMS = {
    "messages_count": "sent",
    "delivered_count": "delivered",
    "dropped_count": "dropped",
    "expired_count": "expired",
    "channel_full_count": "refused",
}
# A clock that nobody sets and that all processes share, since the boot.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class LMDBStore(ReceiveCalls):
    """A process among those that share the store in one directory."""

    def __init__(self, path, size, expiry):
        self.path = path
        self.size = size
        self.expiry = expiry
        self._lock = threading.RLock()
        # Queues that this process is registered to be rung for, and maybe more.
        self._waiting = set()
        self._handed = Handed()
        self._start_steps()
        self._life = None
        self._forget_place()

    def _forget_place(self):
        self._environment = None
        self._bell = None

    def clock(self):
        """Return the time of the store, in seconds."""
        return time.clock_gettime(_CLOCK)

    @property
    def incarnation(self):
        """The name of this process in the store, once it has one."""
        return None if self._life is None else processes.name_of(self._life.number)

    # Queues.

    def append(self, batches):
        return self._run(queues.append, batches, self.expiry)

    def begin_append(self, batches):
        payloads = [payload for _, _, part in batches for payload in part]
        if (
            len(payloads) > steps.AT_ONCE_MESSAGES
            or sum(map(len, payloads)) > steps.AT_ONCE_BYTES
        ):
            return None
        return self._begin(queues.append, batches, self.expiry)

    def give_back(self, entries):
        self._run(queues.give_back, entries, self.expiry, makes_room=True)

    def drop(self, queue):
        self._run(queues.drop, queue, makes_room=True)

    def count(self, changes):
        self._run(queues.count, changes, makes_room=True)

    # Groups.

    def register(self, group, inbox, capacity, control):
        return self._run(groups.register, group, inbox, capacity, control)

    def post(self, group, inbox, control):
        self._run(groups.post, group, inbox, control)

    def deregister(self, group, inbox, count):
        return self._run(groups.deregister, group, inbox, count, makes_room=True)

    def claim(self, registrations, inboxes):
        self._run(groups.claim, registrations, inboxes, self._join())

    def is_foreign(self, inbox):
        return self._run(groups.is_foreign, inbox, self._number())

    def add(self, group, channel, capacity, seconds):
        self._run(groups.add, group, channel, capacity, seconds)

    def remove(self, group, channel):
        self._run(groups.remove, group, channel, makes_room=True)

    def begin_send_group(self, group, payload):
        most = min(steps.AT_ONCE_MESSAGES, steps.AT_ONCE_BYTES // len(payload))
        return self._begin(groups.send_to_few, group, payload, self.expiry, most)

    def send_group(self, group, payload):
        self._run(groups.send_group, group, payload, self.expiry)

    # Processes.

    def renew(self):
        first = self._life is None
        number = self._join()
        kept = first or self._is_known(number)
        if not kept:
            self._join_again(number)
        self._look_after_others()
        return kept

    # Care.

    def statistics(self, queue=None):
        if queue is not None:
            return self._run(queues.statistics, queue, self.expiry, makes_room=True)
        past = self._run(queues.forgotten)
        past = {key: past[counter] for key, counter in _SUMS.items()}
        return add_up((statistics for _, statistics, _ in self._list()), past)

    def queues(self):
        self._bury_all()
        return {name: (known, waiting) for name, known, waiting in self._list()}

    def groups(self):
        self._bury_all()
        return {
            name: tuple(found) for name, found in self._run(groups.list_all).items()
        }

    def describe(self):
        self._bury_all()
        numbers = self._run(processes.known)
        return [*self._open().describe(), f"processes: {len(numbers)}"]

    def flush(self, control):
        self._run(groups.flush, control, makes_room=True)
        # What was handed over before is dropped by who takes the control entry.
        self._waiting.clear()

    def close(self):
        """
        See Store.close(). The process lives on for others: what it is a member of
        is still its, and messages for it wait until the store is opened again.
        """
        with self._lock:
            environment, bell = self._environment, self._bell
            if bell is not None:
                # Whoever takes meanwhile finds in it what was handed over.
                bell.close()
            self._forget_place()
            self._waiting.clear()
            if environment is not None:
                environment.release(self)

    def leave(self):
        bell, life = self._bell, self._life
        self._forget_place()
        self._life = None
        self._lock = threading.RLock()
        self._waiting = set()
        self._handed = Handed()
        for kept in (bell, life):
            if kept is not None:
                kept.let_go()

    def _list(self):
        key = b""
        while key is not None:
            found, key = self._run(queues.list_some, key, self.expiry, makes_room=True)
            yield from found

    # This process.

    def _open(self):
        with self._lock:
            if self._environment is None:
                environment = share(self.path, self.size)
                environment.acquire(self)
                self._environment = environment
            return self._environment

    def _number(self):
        return 0 if self._life is None else self._life.number

    def _join(self):
        """Have this process be one of the store's; return its number."""
        life = self._life
        if self._bell is not None and life is not None:
            return life.number
        with self._lock:
            environment = self._open()
            if self._bell is None:
                known = self._run(processes.known)
                with _as_unavailable(), place.door(environment.path):
                    processes.delete_leftovers(environment.directory, known)
                    new = self._life is None
                    if new:
                        self._life = processes.Life(environment.directory)
                    number = self._life.number
                    path = processes.bell_path(environment.directory, number)
                    bell = Bell(environment.ringer, path, self._handed)
                if new:
                    # Otherwise it is there, unless data was lost: renew() tells.
                    self._run(processes.enter, number)
                self._bell = bell
            return self._life.number

    def _is_known(self, number):
        """Return whether others see this process, and it sees what they do."""
        environment = self._open()
        life = self._life
        return (
            life is not None
            and life.is_seen()
            and environment.is_current()
            and self._run(Transaction.lives, number)
        )

    def _join_again(self, number):
        """Be another process in what is the store now."""
        with self._lock:
            if self._number() != number:
                return
            environment = self._open()
            if not environment.is_current():
                environment.reopen()
            self._run(processes.leave, number)
            if bell := self._bell:
                bell.close()
            self._bell = None
            life, self._life = self._life, None
            life.end()
            self._waiting.clear()
            self._join()

    # Other processes.

    def _look_after_others(self):
        environment = self._open()
        known = self._run(processes.known)
        for number in processes.neighbors(known, self._number()):
            self._bury(environment, number)
        environment.clear_readers()
        self._sweep()

    def _bury_all(self):
        """Remove what the dead left whom no neighbor has missed yet."""
        environment = self._open()
        for number in self._run(processes.known):
            if number != self._number():
                self._bury(environment, number)

    def _bury(self, environment, number):
        """Remove what a process left, unless it lives."""
        directory = environment.directory
        if processes.is_dead(directory, number):
            self._run(processes.leave, number, makes_room=True)
            processes.delete_files(directory, number)


@contextmanager
def _as_unavailable():
    try:
        yield
    except OSError as error:
        raise LayerUnavailable(f"The channel layer cannot be used: {error}") from error
