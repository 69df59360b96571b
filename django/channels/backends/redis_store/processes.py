"""
The store's calls for processes: leases, bells and listening.

In: store.py. Out: the scripts renew, look and pass_on, and the listeners.
"""

import os
import threading
import time
import weakref
from collections import deque
from functools import partial

from django.channels.exceptions import LayerUnavailable
from django.channels.names import new_name

from ..shared.spinning import Spinner
from ..shared.store import Store
from .listener import Listener
from .wire import Watch, WireError

# Within how many renewals all that a process has claimed is renewed.
CARE_RENEWALS = 3600
# How long listening rests when there is no bell to listen to, in seconds.
REST_SECONDS = 0.1
# What renew.lua returns.
KEPT, UNKNOWN = 1, -1

NO_INBOXES = frozenset()


class _Care:
    """The inboxes and groups of a process on one shard, whose keys are to live."""

    def __init__(self):
        # The names of inboxes, and (group, inbox) of registrations.
        self.inboxes = {}
        self.registrations = {}
        self._queue = deque()

    def next(self):
        """Return the words for renew.lua: what is due now."""
        if not self._queue:
            self._queue.extend((0, name) for name in list(self.inboxes))
            self._queue.extend((1, group) for group, _ in list(self.registrations))
            self._share = len(self._queue) // CARE_RENEWALS + 1
        names = ([], [])
        for _ in range(min(self._share, len(self._queue))):
            kind, name = self._queue.popleft()
            names[kind].append(name)
        return [*names[0], "", *names[1]]


class _Whistle:
    """What ends the waiting of a thread that listens."""

    def __init__(self):
        # Descriptors, because sockets in a cycle may be finalized before it is.
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        # Reentrant: a finalizer may blow it, too.
        self._lock = threading.RLock()
        self._blown = False
        # Not in close() of the store: a thread may be about to wait for it.
        closing = weakref.finalize(self, _close_all, self._read, self._write)
        closing.atexit = False

    def fileno(self):
        """Return the descriptor to wait for."""
        return self._read

    def blow(self):
        """End the wait that is, or else the next one."""
        with self._lock:
            if not self._blown:
                self._blown = True
                os.write(self._write, b"!")

    def hush(self):
        """Return whether it was blown, and forget it."""
        if not self._blown:
            return False
        with self._lock:
            self._blown = False
            os.read(self._read, 1)
        return True


def _close_all(*descriptors):
    for descriptor in descriptors:
        os.close(descriptor)


class ProcessCalls(Store):
    """The part of RedisStore that is about processes."""

    def _start_processes(self):
        self._life_lock = threading.Lock()
        self._is_renewed = False
        # Is it about to take a new incarnation?
        self._is_reborn = False
        # {shard: the server's clock minus this machine's, in milliseconds}
        self._offsets = {}
        # Is there a thread that listens?
        self._is_listening = False
        # {shard: its listener}, of the shards on which somebody waits.
        self._listeners = {}
        # {shard: what is to live there}
        self._cares = {}
        self._whistle = _Whistle()
        self._poll = Watch()
        self._spinner = Spinner()

    def _watch(self, shard, is_listener=False):
        """Listen to a shard from now on; return what does it."""
        listener = self._listeners.get(shard)
        if listener is None:
            with self._life_lock:
                listener = Listener(shard, self._name, self._expiry_ms)
                listener = self._listeners.setdefault(shard, listener)
            if self._is_listening and not is_listener:
                # It is to listen there, too.
                self.interrupt()
        return listener

    def _keep_alive(self, shard, inboxes, registrations):
        with self._life_lock:
            care = self._cares.setdefault(shard, _Care())
            care.inboxes.update(dict.fromkeys(inboxes))
            care.registrations.update(dict.fromkeys(registrations))

    def _let_go(self, shard, registration):
        with self._life_lock:
            if shard in self._cares:
                self._cares[shard].registrations.pop(registration, None)

    def _stop_processes(self):
        for listener in list(self._listeners.values()):
            listener.close()

    def _leave_processes(self):
        self._listeners = {}

    # Leases.

    def renew(self):
        with self._life_lock:
            is_kept = all(self._on_all(self._renew, not self._is_renewed))
            is_kept = is_kept and not self._is_reborn
            self._is_renewed = True
            if not is_kept:
                # Until it has a lease on all shards, and is told so.
                self._is_reborn = True
                self.incarnation = new_name("redis?")
                self._cares = {}
                self._doubtful.update(self._cursors)
                self._on_all(self._renew, True)
                self._is_reborn = False
        if not is_kept:
            self.interrupt()
        return is_kept

    def _renew(self, shard, is_new):
        """Renew the lease on one shard; return whether it was still there."""
        if not shard.generation:
            shard.check_generation()
        is_changed = shard.take_change()
        listener = self._listeners.get(shard)
        ring = listener.last_ring if listener and not is_new else ""
        care = self._cares.setdefault(shard, _Care())
        words = (shard.epoch_key, self.incarnation, int(is_new), ring, *care.next())
        result, now = shard.run("renew", *words)
        if result == UNKNOWN:
            shard.check_generation()
            is_changed = True
            if is_new:
                result, now = shard.run("renew", *words)
        self._offsets[shard] = now - time.monotonic() * 1000
        is_changed |= shard.take_change()
        return is_new or result == KEPT and not is_changed

    def _now(self, shard):
        """Return the server's time in ms, as far as is known here."""
        if shard not in self._offsets:
            self._offsets[shard] = shard.run("clock") - time.monotonic() * 1000
        return time.monotonic() * 1000 + self._offsets[shard]

    # Listening.

    def listen(self, timeout, inboxes=()):
        self._is_listening = True
        try:
            return self._listen(timeout, inboxes)
        finally:
            self._is_listening = False

    def ear(self, inboxes):
        # With several servers there is a descriptor for each.
        if len(self._shards) > 1 or not self._listeners:
            return None
        if not self._doubtful.isdisjoint(inboxes):
            return None
        (listener,) = self._listeners.values()
        return listener.ear(self.incarnation, inboxes)

    def hear(self):
        (listener,) = self._listeners.values()
        with listener.shard.errors():
            return listener.receive_more()

    def _listen(self, timeout, inboxes):
        if len(self._shards) == 1:
            parts = {self._shards[0]: frozenset(inboxes)}
        else:
            found = self._by_shard(inboxes)
            parts = {shard: frozenset(names) for shard, names in found.items()}
        for shard in parts:
            self._watch(shard, is_listener=True)
        until = None
        while not self._whistle.hush():
            listeners = list(self._listeners.values())
            rings = self._on_each(listeners, self._begin, parts)
            # The time counts from when the servers know of it.
            until = until or time.monotonic() + timeout
            if not rings:
                look = partial(self._on_each, listeners, self._receive, parts)
                sleep = partial(self._wait, listeners, until, look)
                rings = self._spinner.wait(look, sleep)
            if rings or time.monotonic() >= until:
                return rings
        return []

    def _on_each(self, listeners, function, parts):
        """Return what listeners offer; raise only if that fails for all of them."""
        rings, failure, failed = [], None, 0
        for listener in listeners:
            if listener.rests:
                failed += 1
                continue
            try:
                rings += function(listener, parts.get(listener.shard, NO_INBOXES))
            except (WireError, LayerUnavailable) as error:
                listener.rest()
                failed += 1
                failure = listener.shard.unavailable(error)
        if failure is not None and failed == len(listeners):
            for listener in listeners:
                listener.rest(0)
            raise failure
        return rings

    def _begin(self, listener, names):
        if listener.has_lost:
            self._mend(listener)
        self._open_inboxes(listener.shard, names)
        offers = listener.begin(self.incarnation, names)
        if not listener.is_reading:
            # The read before had no bell to end it by.
            self._mend(listener)
            offers += listener.begin(self.incarnation, names)
        return offers

    def _mend(self, listener):
        with listener.mending() as inboxes:
            self._doubtful.update(inboxes)
            self._open_inboxes(listener.shard, inboxes)

    def _receive(self, listener, names):
        offers = listener.receive()
        if listener.is_lost:
            self._doubtful.update(names)
        return offers

    def _wait(self, listeners, until, look):
        """Look when a listener may have something, or the whistle was blown."""
        files = []
        seconds = until - time.monotonic()
        for listener in listeners:
            if listener.has_reply:
                return look()
            if listener.is_reading:
                files.append(listener)
                seconds = min(seconds, listener.patience)
            elif listener.rests:
                seconds = min(seconds, REST_SECONDS)
            if listener.is_lost:
                # The keeper's next renewal makes a new bell.
                seconds = min(seconds, REST_SECONDS)
        self._poll.wait([self._whistle, *files], seconds)
        return look()

    def interrupt(self):
        self._whistle.blow()

    def look(self, names):
        found = []
        for shard, part in self._by_shard(names).items():
            found += [part[index] for index in shard.run("look", *part)]
        return found

    def pass_on(self, queue):
        self._shard_of(queue).run("pass_on", queue)
