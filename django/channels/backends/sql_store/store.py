"""
The store of the database layer: each method is one transaction.

In: calls of shared/layer.py, in any thread. Out: queues.py, groups.py,
processes.py and care.py, which are given the running transaction; listening.py
for rings.
"""

import secrets
import threading
import time
from contextlib import suppress

from django.channels.exceptions import LayerUnavailable

from ..shared.store import Store
from .calls import Calls
from .care import Care
from .connections import Pool
from .groups import Groups
from .listening import Listener
from .processes import PRUNE_SECONDS, Processes
from .queues import Queues
from .running import Runner
from .schema import Schema
from .tables import Tables

# Bytes of chance in an incarnation, two characters each.
RANDOM_BYTES = 12


class SQLStore(Store):
    """See Store. ``table`` is the begin of the names of its tables."""

    def __init__(self, dialect, table, expiry):
        self.expiry = expiry
        self._dialect = dialect
        self.tables = Tables(dialect, table)
        self.schema = Schema(dialect, self.tables)
        self._pool = Pool(dialect, self.tables, self.schema.check)
        self._runner = Runner(self._pool, self.tables)
        self._processes = Processes(dialect)
        calls = Calls if dialect.functions else Queues
        self._queues = calls(dialect, self._processes, expiry)
        self._groups = Groups(dialect, self._queues, self._processes.ring)
        self._care = Care(self._queues, expiry)
        self._listener = Listener(dialect, self._pool, self._missing)
        if dialect.functions:
            self._send_group = self._queues.send_group
        else:
            self._send_group = self._groups.send
        # Do the most frequent calls consist of several statements?
        self._begin = not dialect.functions
        self._pool.on_deletion = self._listener.close
        # Held by whoever changes the incarnation.
        self._life = threading.Lock()
        # Is the layer still to be told of a new incarnation?
        self._is_reborn = False
        # When this process clears up, if nobody else does.
        self._prune_at = time.monotonic() + PRUNE_SECONDS

    def _run(self, work, *args, begin=True):
        """Return what a step returns, after ringing whom it has to."""
        result, rings = self._runner.run(work, *args, begin=begin)
        if rings or time.monotonic() > self._prune_at:
            # The step is done: what fails now must not hide its result.
            with suppress(LayerUnavailable):
                self._follow_up(rings)
        return result

    def _follow_up(self, rings):
        for process, queue in self._listener.ring(rings, self._folder):
            # It is gone: somebody else may wait as well.
            self._run(self._ring_another, queue, process)
        if time.monotonic() > self._prune_at:
            self._prune()

    def _ring_another(self, step, queue, process):
        self._processes.resign(step, process)
        row = self._queues.lock(step, [queue]).get(queue)
        if row is not None and row.size:
            self._processes.ring(step, queue, 1)

    def _prune(self):
        self._prune_at = time.monotonic() + PRUNE_SECONDS
        if not self._run(self._processes.is_time):
            return
        for incarnation, host, address in self._run(self._processes.prune):
            self._listener.clear(incarnation, host, address, self._folder)
        self._run(self._processes.prune_queues, self._queues)

    # Queues.

    def append(self, batches):
        if not batches:
            return []
        return self._run(self._queues.append, batches, begin=self._begin)

    def take(self, names, limit, wait=False):
        if not wait:
            return self._run(self._queues.take, names, limit, None, begin=self._begin)
        self._enroll()
        taken = self._run(
            self._queues.take, names, limit, self.incarnation, begin=self._begin
        )
        if taken is None:
            self._listener.add(names)
        return taken or []

    def accept(self, inbox, offered):
        return []

    def give_back(self, entries):
        if entries:
            self._run(self._queues.give_back, entries)

    def drop(self, queue):
        self._run(self._groups.drop, queue)

    def count(self, changes):
        if changes:
            self._run(self._queues.count, changes)

    # Groups.

    def register(self, group, inbox, capacity, control):
        return self._run(self._groups.register, group, inbox, capacity, control)

    def post(self, group, inbox, control):
        self._run(self._groups.post, group, inbox, control)

    def deregister(self, group, inbox, count):
        return self._run(self._groups.deregister, group, inbox, count)

    def claim(self, registrations, inboxes):
        self._enroll()
        self._run(self._groups.claim, registrations, inboxes, self.incarnation)

    def is_foreign(self, inbox):
        return self._runner.read(self._groups.is_foreign, inbox, self.incarnation)

    def add(self, group, channel, capacity, seconds):
        self._run(self._groups.add, group, channel, capacity, seconds)

    def remove(self, group, channel):
        self._run(self._groups.remove, group, channel)

    def send_group(self, group, payload):
        self._run(self._send_group, group, payload, begin=self._begin)

    # Processes.

    def renew(self):
        with self._life:
            is_kept = self._renew_locked() and not self._is_reborn
            self._is_reborn = False
            return is_kept

    def _renew_locked(self):
        # Connects, so that it is known where the file is.
        self._runner.read(lambda step: None)
        if self.incarnation is not None:
            if not self._listener.is_open:
                self._listener.open(self.incarnation, self._folder)
            renewed = self._run(self._processes.renew, self.incarnation)
            if renewed is not None:
                self.schema.proof = (self.incarnation, renewed)
                return True
        first = self.incarnation is None
        incarnation = secrets.token_hex(RANDOM_BYTES)
        host, address = self._listener.open(incarnation, self._folder)
        begun = self._run(self._processes.enroll, incarnation, host, address)
        self.incarnation = incarnation
        self.schema.proof = (incarnation, begun)
        return first

    def _enroll(self):
        if self.incarnation is None or not self._listener.is_open:
            with self._life:
                # The layer hears of it when it asks the next time.
                self._is_reborn |= not self._renew_locked()

    @property
    def _folder(self):
        """The folder of the sockets beside the file, or None if there is no file."""
        return self._dialect.folder

    def listen(self, timeout, inboxes=()):
        self._enroll()
        return [(name, None) for name in self._listener.listen(timeout)]

    def interrupt(self):
        self._listener.interrupt()

    def _missing(self, names):
        """Return those queues of which a ring was lost, or cannot be heard."""
        return names - self._runner.read(self._processes.waits, self.incarnation)

    def look(self, names):
        return self._runner.read(self._queues.look, names) if names else []

    def pass_on(self, queue):
        self._run(self._pass_on, queue)

    def _pass_on(self, step, queue):
        row = self._queues.lock(step, [queue]).get(queue)
        if row is not None and row.size:
            self._processes.ring(step, queue, 1, but=self.incarnation or "")

    # Care.

    def statistics(self, queue=None):
        if queue is None:
            return self._run(self._care.totals)
        return self._run(self._care.statistics, queue)

    def queues(self):
        return self._run(self._care.queues)

    def groups(self):
        return self._run(self._groups.sizes)

    def describe(self):
        count = self._run(self._care.processes)
        return [
            f"store: {self._dialect.place()}, tables {self.tables.prefix}_…",
            f"waiting readers: {self._dialect.waking}",
            f"processes: {count}",
        ]

    def flush(self, control):
        self._run(self._care.flush, control)

    def close(self):
        if self._listener.is_open:
            with suppress(LayerUnavailable):
                self._run(self._processes.resign, self.incarnation)
        with self._life:
            # Not while another thread opens it.
            self._listener.close()
        self._pool.discard_free()

    def leave(self):
        self._listener.leave()
        self._pool.leave()

    def create_tables(self):
        """
        Make the tables, anew if they are of another version.

        Return whether that was needed.
        """
        return self._runner.make(self.schema.make)
