"""
How a process learns that something came: notified, rung, or by asking.

In: the one thread of the layer that listens. Out: names of queues. PostgreSQL
notifies on a connection of its own; on one machine there are datagrams; where
neither is for sure, the database is asked, seldom if nothing happens.
"""

import os
import threading
import time
from contextlib import suppress

from .bells import Doorbell, Ringer, can_ring, host, private_folder

# Pauses between two questions, in seconds: after a ring, at most, and the factor
# by which they grow.
FIRST_PAUSE_SECONDS = 0.01
MAX_PAUSE_SECONDS = 0.1
PAUSE_GROWTH = 1.3


class Listener:
    """What one process waits for, and its ways to hear of it."""

    def __init__(self, dialect, pool, asked):
        self._dialect = dialect
        self._pool = pool
        # Returns the queues, of those given, for which a ring is due.
        self._asked = asked
        self._ringer = Ringer()
        self._host = ""
        self._bell = None
        self._lock = threading.Lock()
        # The queues for which this process is to be rung.
        self._names = set()
        # Rings that nobody else gives.
        self._due = set()
        self._incarnation = None
        # The connection for notifications, and for whom it listens.
        self._raw = None
        self._listens_for = None
        # Held by whoever makes it.
        self._connecting = threading.Lock()
        self._pause = FIRST_PAUSE_SECONDS

    # Addresses.

    @property
    def is_open(self):
        """Can this process be rung?"""
        return self._bell is not None

    def open(self, incarnation, folder):
        """
        Get ready to be rung by a new name; return (host, address).

        Whatever was waited for by an earlier name counts as rung.
        """
        self.close()
        self._incarnation = incarnation
        bell = self._bell = Doorbell(self._ringer)
        address = ""
        if self._dialect.can_notify:
            try:
                self._listen()
            except BaseException:
                self.close()
                raise
        elif can_ring():
            self._host = host()
            with suppress(OSError):
                address = bell.open(folder or private_folder(), incarnation)
        return self._host, address

    def ring(self, rings, folder):
        """Ring processes of this machine; return those that are seen to be gone."""
        gone = []
        for process, its_host, address, queue in rings:
            address = self._reach(process, its_host, address, folder)
            if address and not self._ringer.ring(address, queue):
                gone.append((process, queue))
        return gone

    def clear(self, process, its_host, address, folder):
        """Delete what a dead process has left."""
        if address := self._reach(process, its_host, address, folder):
            with suppress(OSError):
                os.unlink(address)

    def _reach(self, process, its_host, address, folder):
        """Return where a process is rung from here, "" if it cannot be."""
        if address and folder:
            return os.path.join(folder, process)
        return address if its_host == self._own_host() else ""

    def _own_host(self):
        if not self._host:
            self._host = host()
        return self._host

    # Waiting.

    def add(self, names):
        """Note that this process is to be rung for some queues."""
        with self._lock:
            self._names.update(names)
            self._pause = FIRST_PAUSE_SECONDS

    def waits(self):
        """Return the queues for which this process is to be rung."""
        with self._lock:
            return set(self._names)

    def listen(self, seconds):
        """Return the names of the queues that rang, at most after ``seconds``."""
        until = time.monotonic() + seconds
        while True:
            if names := self._take_due():
                return names
            left = max(until - time.monotonic(), 0)
            names, more, interrupted = self._wait(min(left, self._patience()))
            if more or self._asks():
                names = {*names, *self._ask()}
            if names:
                self._forget(names)
                return list(names)
            if interrupted or time.monotonic() >= until:
                return []

    def interrupt(self):
        """End the running listen(), or else the next one."""
        bell = self._bell
        if bell is not None:
            bell.interrupt()

    def _take_due(self):
        with self._lock:
            due, self._due = self._due, set()
        return list(due)

    def _forget(self, names):
        with self._lock:
            self._names.difference_update(names)
            self._pause = FIRST_PAUSE_SECONDS

    def _wait(self, seconds):
        bell = self._bell
        if bell is None:
            return [], False, True
        if not self._dialect.can_notify:
            return bell.wait(seconds)
        raw = self._raw
        if raw is None:
            self._listen()
            # What was told in between has to be asked for.
            return [], True, False
        try:
            _, _, interrupted = bell.wait(seconds, raw.fileno())
            return self._dialect.notifications(raw), False, interrupted
        except Exception:
            if raw is not self._raw:
                # Another thread has closed it, for a new name.
                return [], True, False
            self._close_connection()
            with self._pool.errors():
                raise

    def _listen(self):
        """Have a connection that listens for this process by its present name."""
        with self._connecting, self._pool.errors():
            incarnation = self._incarnation
            if self._raw is not None and self._listens_for == incarnation:
                return
            self._close_connection()
            raw = self._pool.open()
            try:
                name = self._dialect.listening_name(incarnation)
                with self._dialect.cursor(raw) as cursor:
                    cursor.execute(f'LISTEN "{name}"')
            except BaseException:
                raw.close()
                raise
            # Not before its answer came: another thread would read it.
            self._listens_for, self._raw = incarnation, raw
            if self._bell is None:
                # It was closed in between.
                self._close_connection()

    # Asking.

    def _asks(self):
        """Return whether a ring may come from where it cannot be heard."""
        if self._dialect.can_notify:
            return False
        bell = self._bell
        heard = bell is not None and bell.has_socket
        return not (self._dialect.has_all_on_one_machine and heard)

    def _patience(self):
        if not self._asks():
            return float("inf")
        pause, self._pause = self._pause, self._pause * PAUSE_GROWTH
        self._pause = min(self._pause, MAX_PAUSE_SECONDS)
        return pause

    def _ask(self):
        names = self.waits()
        return self._asked(names) if names else []

    # The ends.

    def close(self):
        """Release what is open; what is waited for counts as rung."""
        with self._lock:
            self._due |= self._names
            self._names = set()
        bell, self._bell = self._bell, None
        if bell is not None:
            bell.close()
        self._ringer.close()
        self._close_connection()

    def leave(self):
        """Let go, in a forked child, of what belongs to the parent."""
        if self._bell is not None:
            self._bell.leave()
        self._connecting = threading.Lock()
        if self._raw is not None:
            self._pool.lose(self._raw)
            self._raw = None
        self._ringer.close()

    def _close_connection(self):
        raw, self._raw = self._raw, None
        if raw is not None:
            try:
                raw.close()
            except Exception:
                # It is gone already.
                pass
