"""
The store's calls for processes: leases, bells and listening.

In: store.py. Out: the scripts renew, look and pass_on, and the listeners.
"""

import socket
import threading
import time
from collections import deque

from django.channels.names import new_name

from ..shared.store import Store
from .listener import Listener
from .wire import wait_for

# Within how many renewals all that a process has claimed is renewed.
CARE_RENEWALS = 3600
# How long listening rests when there is no bell to listen to, in seconds.
REST_SECONDS = 0.1
# What renew.lua returns.
KEPT, UNKNOWN = 1, -1


class _Care:
    """The inboxes and groups of a process on one shard, whose keys are to live."""

    def __init__(self):
        self.inboxes = {}
        self.groups = {}
        self._queue = deque()

    def next(self):
        """Return the words for renew.lua: what is due now."""
        if not self._queue:
            self._queue.extend((0, name) for name in list(self.inboxes))
            self._queue.extend((1, name) for name in list(self.groups))
            self._share = len(self._queue) // CARE_RENEWALS + 1
        names = ([], [])
        for _ in range(min(self._share, len(self._queue))):
            kind, name = self._queue.popleft()
            names[kind].append(name)
        return [*names[0], "", *names[1]]


class _Whistle:
    """What ends the waiting of a thread that listens."""

    def __init__(self):
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)

    def __del__(self):
        # Not in close() of the store: a thread may be about to wait for it.
        self._read.close()
        self._write.close()

    def fileno(self):
        """Return the descriptor to wait for."""
        return self._read.fileno()

    def blow(self):
        """End the wait that is, or else the next one."""
        try:
            self._write.send(b"!")
        except BlockingIOError:
            # It was blown often enough.
            pass

    def hush(self):
        """Return whether it was blown, and forget it."""
        try:
            return bool(self._read.recv(4096))
        except BlockingIOError:
            return False


class ProcessCalls(Store):
    """The part of RedisStore that is about processes."""

    def _start_processes(self):
        self._life_lock = threading.Lock()
        self._is_renewed = False
        # {shard: the server's clock minus this machine's, in milliseconds}
        self._offsets = {}
        # {shard: its listener}, of the shards on which somebody waits.
        self._listeners = {}
        # {shard: what is to live there}
        self._cares = {}
        self._whistle = _Whistle()

    def _watch(self, shard):
        """Listen to a shard from now on; return the listener."""
        listener = self._listeners.get(shard)
        if listener is None:
            with self._life_lock:
                listener = Listener(shard, self._name, self._expiry_ms)
                listener = self._listeners.setdefault(shard, listener)
            if len(self._shards) > 1:
                # A thread that listens already is to listen there, too.
                self.interrupt()
        return listener

    def _keep_alive(self, shard, inboxes, groups):
        with self._life_lock:
            care = self._cares.setdefault(shard, _Care())
            care.inboxes.update(dict.fromkeys(inboxes))
            care.groups.update(dict.fromkeys(groups))

    def _stop_processes(self):
        for listener in list(self._listeners.values()):
            listener.close()

    def _leave_processes(self):
        self._listeners = {}

    # Leases.

    def renew(self):
        with self._life_lock:
            is_first, self._is_renewed = not self._is_renewed, True
            is_kept = all([self._renew(shard, is_first) for shard in self._shards])
            if not is_kept:
                self.incarnation = new_name("redis?")
                self._cares = {}
                self._doubtful.update(self._cursors)
                for shard in self._shards:
                    self._renew(shard, True)
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

    def _hears(self, names):
        """Return whether listen() would tell of anything new in these queues."""
        if not all(name[-1] == "!" for name in names) or self._doubtful:
            return False
        if not all(name in self._cursors for name in names):
            return False
        for shard, part in self._by_shard(names).items():
            listener = self._listeners.get(shard)
            if listener is None or not listener.hears(part, self.incarnation):
                return False
        return True

    def listen(self, timeout, inboxes=()):
        until = time.monotonic() + timeout
        parts = self._by_shard(inboxes)
        for shard in parts if len(self._shards) > 1 else self._shards:
            self._watch(shard)
        while not self._whistle.hush():
            listeners = list(self._listeners.items())
            rings = []
            for shard, listener in listeners:
                names = frozenset(parts.get(shard, ()))
                with shard.errors():
                    rings += listener.begin(self.incarnation, names)
                    rings += listener.receive()
            if rings:
                self._doubtful.update(n for n, e in rings if e is None and n[-1] == "!")
                return rings
            left = until - time.monotonic()
            if left <= 0:
                return []
            self._wait([listener for _, listener in listeners], left)
        return []

    def _wait(self, listeners, seconds):
        """Return when a listener may have something, or the whistle was blown."""
        if any(listener.is_lost for listener in listeners):
            # The keeper's next renewal makes a new bell.
            seconds = min(seconds, REST_SECONDS)
        elif any(listener.has_reply for listener in listeners):
            return
        files = [li for li in listeners if li.is_reading and not li.is_lost]
        seconds = min([seconds, *(listener.patience for listener in files)])
        wait_for([self._whistle, *files], max(seconds, 0))

    def interrupt(self):
        self._whistle.blow()

    def look(self, names):
        found = []
        for shard, part in self._by_shard(names).items():
            found += [part[index] for index in shard.run("look", *part)]
        return found

    def pass_on(self, queue):
        self._shard_of(queue).run("pass_on", queue)
