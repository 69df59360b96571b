"""
The store's own connections: opened at first use, shared by threads, closed at forks.

In: running.py, which runs steps on them, and listening.py. Out: the driver's
connections. They are never those of the application, so that no rollback of a view
touches a message; and never used through Django's cursors, which refuse threads with
a running event loop and log what is sent.
"""

import asyncio
import copy
import os
import threading
import weakref

from django.channels.exceptions import LayerUnavailable

from .dialects import LOCK_SECONDS
from .testing import DeletionWatch, in_tests

# The pools that take care of themselves at a fork.
_pools = weakref.WeakSet()
# Connections of parent processes: closing them would be seen by the parent.
_inherited = []


class Connection:
    """A connection of the driver, with its cursor."""

    def __init__(self, raw, cursor):
        self.raw = raw
        self.cursor = cursor


class Pool:
    """The connections of one store."""

    def __init__(self, dialect, tables, set_up):
        self.dialect = dialect
        self._tables = tables
        # Called with the cursor of each new connection.
        self._set_up = set_up
        self._name = None
        # Closes other connections before a test database is deleted.
        self.on_deletion = None
        # What notices that the test database is deleted, and whether it was.
        self._watch = None
        self._ended = False
        self._free = []
        self._count = 0
        self._lock = threading.Lock()
        # Told when a connection is free, or one less is open.
        self._changed = threading.Condition(self._lock)
        # Told when nobody may use or open one any more.
        self._quiet = threading.Condition(self._lock)
        # How many connections are being opened.
        self._opening = 0
        _pools.add(self)

    # Errors.

    def errors(self):
        """Return a context in which the driver's errors become LayerUnavailable."""
        return _Errors(self.fail)

    def fail(self, error):
        """Raise an error, as a LayerUnavailable if it is the driver's."""
        driver = self.dialect.driver
        if not isinstance(error, driver.Error):
            raise error
        place = self.dialect.place()
        if self.dialect.is_missing_table(error):
            raise LayerUnavailable(
                f"The {place} has no tables {self._tables.prefix}_…: run manage.py "
                "createchanneltable."
            ) from None
        raise LayerUnavailable(
            f"The {place} is not available: {self.dialect.explain(error)}"
        ) from error

    # Connections.

    def open(self):
        """Return a new connection of the driver, for the caller to close."""
        with self._lock:
            self._check_end_locked()
            self._opening += 1
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._connect()
        else:
            # Django does not connect where an event loop runs.
            return _in_thread(self._connect)
        finally:
            with self._lock:
                self._opening -= 1
                self._quiet.notify_all()

    def _connect(self):
        wrapper = self.dialect.wrapper
        settings = copy.deepcopy(wrapper.settings_dict)
        wrapper = type(wrapper)(self.dialect.settings(settings), wrapper.alias)
        try:
            wrapper.connect()
        except wrapper.Database.Error:
            raise
        except Exception as error:
            # Django's own classes have the driver's error as their cause.
            if isinstance(error.__cause__, wrapper.Database.Error):
                raise error.__cause__ from None
            raise
        raw, wrapper.connection = wrapper.connection, None
        try:
            self.dialect.prepare(raw)
        except BaseException:
            raw.close()
            raise
        return raw

    def acquire(self):
        """Return a Connection for the caller to release() or discard()."""
        with self._lock:
            self._check_name_locked()
            while not self._free and self._count >= self.dialect.max_connections:
                if not self._changed.wait(LOCK_SECONDS):
                    raise LayerUnavailable(
                        f"All connections to the {self.dialect.place()} have been in "
                        f"use for {LOCK_SECONDS} s."
                    )
            while self._free:
                connection = self._free.pop()
                if not self.dialect.is_stale(connection.raw):
                    return connection
                self._close_locked(connection)
            self._count += 1
        try:
            connection = self._open_checked()
        except BaseException:
            with self._lock:
                self._count -= 1
                self._notify_locked()
            raise
        return connection

    def _open_checked(self):
        raw = self.open()
        try:
            connection = Connection(raw, self.dialect.cursor(raw))
            self._set_up(connection.cursor)
        except BaseException:
            raw.close()
            raise
        return connection

    def release(self, connection):
        """Have others use a connection."""
        with self._lock:
            self._free.append(connection)
            self._notify_locked()

    def discard(self, connection):
        """Close a connection that may be of no use any more."""
        with self._lock:
            self._close_locked(connection)
            self._notify_locked()

    def discard_free(self):
        """Close the connections that nobody uses just now."""
        with self._lock:
            while self._free:
                self._close_locked(self._free.pop())
            self._changed.notify_all()
            self._quiet.notify_all()

    def _notify_locked(self):
        self._changed.notify()
        self._quiet.notify_all()

    def _close_locked(self, connection):
        self._count -= 1
        try:
            connection.raw.close()
        except Exception:
            # It is gone already.
            pass

    def check_name(self):
        """See _check_name_locked()."""
        with self._lock:
            self._check_name_locked()

    def _check_name_locked(self):
        """Go along with a test runner that puts another database in place."""
        name = self.dialect.wrapper.settings_dict["NAME"]
        self._check_end_locked()
        if name != self._name:
            self._name = name
            self.dialect.change_name(name)
            while self._free:
                self._close_locked(self._free.pop())
            if in_tests() and not self.dialect.has_own_file:
                self._watch = DeletionWatch(
                    self.dialect.wrapper, name, self._before_deletion
                )

    def _check_end_locked(self):
        if self._ended:
            raise LayerUnavailable(
                f"The test database {self._name!r} is deleted or copied."
            )

    def _before_deletion(self, begins):
        with self._lock:
            self._ended = begins
        if not begins:
            return
        self.on_deletion()
        with self._lock:
            self._wait_for_all_locked()
        self.discard_free()

    # The ends.

    def leave(self):
        """Forget, in a forked child, connections that are the parent's."""
        for connection in self._free:
            self.lose(connection.raw)
        self._free = []

    def lose(self, raw):
        """Keep a connection of the parent from being closed by the child."""
        _inherited.append(raw)

    def hold(self):
        """
        Let no connection be opened during a fork, nor a file be open.

        Whoever opens one holds locks of Django and the driver, which a child would
        wait for in vain. SQLite must not even find an open file in a child.
        """
        self._lock.acquire()
        self._quiet.wait_for(lambda: not self._opening, LOCK_SECONDS)
        if not self.dialect.has_own_file:
            return
        self._wait_for_all_locked()
        while self._free:
            self._close_locked(self._free.pop())

    def _wait_for_all_locked(self):
        self._quiet.wait_for(lambda: len(self._free) == self._count, LOCK_SECONDS)

    def let_go(self):
        """Let connections be opened again after hold()."""
        self._changed.notify_all()
        self._lock.release()


class _Errors:
    """Turns the driver's errors into LayerUnavailable."""

    def __init__(self, convert):
        self._convert = convert

    def __enter__(self):
        pass

    def __exit__(self, kind, error, traceback):
        if error is not None:
            self._convert(error)


def _in_thread(function):
    """Return the result of a function that ran in a thread of its own."""
    results = []

    def run():
        try:
            results.append((function(), None))
        except BaseException as error:
            results.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    ((result, error),) = results
    if error is not None:
        raise error
    return result


def _before_fork():
    _forking.acquire()
    for pool in list(_pools):
        pool.hold()
        _held.append(pool)


def _after_fork():
    while _held:
        _held.pop().let_go()
    _forking.release()


# One thread forks at a time; these are the pools that it holds.
_forking = threading.Lock()
_held = []

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
