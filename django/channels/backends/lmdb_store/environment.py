"""
The LMDB environment of one file, which a process opens once.

In: stores, any number of them on one file, from any thread. Out: LMDB.

There are write transactions only, also for what is read: they cost no more, and
a reader that is stopped in LMDB would keep the space of what others delete; the
slot of a reader, too, is cleared when a forked child lets go of the file.
"""

import fcntl
import os
import sys
import threading
import weakref
from functools import partial
from itertools import starmap
from struct import error as StructError

from django.channels.exceptions import LayerUnavailable

from . import files, place
from .bells import Ringer
from .handing import Expectations
from .space import STEP_BYTES, Space
from .transaction import Busy

# How long, in a transaction, other threads of this process may keep Python's lock
# after a call of LMDB, in seconds. Other processes wait as long, and 5 ms are usual.
SWITCH_SECONDS = 0.0001
# How often one call is tried, where the failure says that it was not done.
ATTEMPTS = 4

# The environments of this process, by directory.
_environments = weakref.WeakValueDictionary()
_registry_lock = threading.RLock()

# Arguments for starmap() to call something without any.
_ONCE = ((),)

# The file that is locked while there is a transaction.
GATE_FILE = "gate"
GATE_FLAGS = os.O_RDWR | os.O_CREAT


class Interrupted(Exception):
    """Raised in a transaction that another call of the same thread has ended."""


def share(path, size):
    """Return the environment of this process for a directory."""
    path = place.normalize(path)
    with _registry_lock:
        environment = _environments.get(path)
        if environment is None:
            environment = _environments[path] = Environment(path, size)
        environment.size = max(environment.size, size)
        return environment


class Environment:
    """A file with all that LMDB holds; opened by the first transaction."""

    def __init__(self, path, size):
        self.path = path
        self.size = size
        # What tells one file from another that replaced it; None while closed.
        self.identity = None
        # The directory of the file, and of all that belongs to it, what rings the
        # processes that have their bells there, and what says who of them waits.
        self.directory = None
        self.ringer = None
        self.expectations = None
        # Reentrant: a signal handler or a finalizer may use a layer, too.
        self._lock = threading.RLock()
        self._users = set()
        # The open transaction, if there is one.
        self._txns = []
        self._env = None
        self._begin = None
        self._space = None
        # LMDB's lock cannot be tried; this one can, and whoever writes holds it.
        self._gate = None

    def acquire(self, user):
        """Keep the file open until release()."""
        with self._lock:
            self._users.add(id(user))
            if self._env is None:
                self.run(_nothing, makes_room=True)

    def release(self, user):
        """Close the file if nobody else uses it."""
        with self._lock:
            self._users.discard(id(user))
            if not self._users and not self._txns:
                self._close()

    def run_at_once(self, body, makes_room=False):
        """Return what run() does, but raise Busy instead of waiting for others."""
        if not self._lock.acquire(blocking=False):
            raise Busy
        try:
            if self._env is None or self._txns:
                raise Busy
            return self.run(body, makes_room, fcntl.LOCK_NB)
        finally:
            self._lock.release()

    def run(self, body, makes_room=False, flags=0):
        """
        Run ``body(txn)`` in a transaction, commit it and return the result.

        It may be run several times, but what it did before is undone then. With
        ``makes_room``, it works on a full map as well. ``flags`` are of flock().
        """
        with self._lock:
            if self._txns:
                # The call that this one interrupts begins again.
                self._txns.pop().abort()
            for attempt in range(ATTEMPTS):
                try:
                    return self._attempt(body, makes_room, flags)
                except Interrupted:
                    continue
                except OSError as error:
                    raise self._unavailable(error) from error
                except self._lmdb.Error as error:
                    last = attempt == ATTEMPTS - 1
                    if last or not self._recover(error, makes_room, attempt):
                        raise self._unavailable(error) from error
            raise LayerUnavailable(f"{self.path} was not reached: too many interrupts.")

    def clear_readers(self):
        """Clear what processes left that were killed as they opened the file."""
        with self._lock:
            if self._env is not None:
                self._env.reader_check()

    def is_current(self):
        """Return whether the open file is the one that others would open."""
        with self._lock:
            return self.identity is not None and self.identity == files.identify(
                self.directory
            )

    def reopen(self):
        """Open the file anew, or the one that took its place."""
        with self._lock:
            self._close()
            self.run(_nothing, makes_room=True)

    def forget(self):
        """Close the file, whoever uses it; the next transaction opens it again."""
        with self._lock:
            self._close()

    def describe(self):
        """Return lines for a human."""
        with self._lock:
            used = 0 if self._space is None else self._space.used()
        mega = 1024 * 1024
        return [
            f"path: {self.path}",
            f"size: {used / mega:.1f} of at most {self.size / mega:.1f} MB",
        ]

    @property
    def _lmdb(self):
        return place.import_lmdb()

    def _attempt(self, body, makes_room, flags):
        if self._env is None:
            self._open()
        txns, done = self._txns, []
        txn = None
        _hurry()
        try:
            fcntl.flock(self._gate, fcntl.LOCK_EX | flags)
            # Each in one call of C: no signal handler comes in between, and
            # misses a transaction that is open or ends one that is committed.
            txns.extend(starmap(self._begin, _ONCE))
            txn = txns[-1]
            result = body(txn)
            if not makes_room and self._space.has_reserve and self._space.exceeds(txn):
                raise self._lmdb.MapFullError("the rest is for making room")
            done.extend(starmap(txn.commit, _ONCE))
            return result
        except StructError as error:
            # What is read is of another shape than what this ever writes.
            raise self._lmdb.CorruptedError(str(error)) from error
        except self._lmdb.Error:
            if txn is not None and txn not in txns:
                raise Interrupted from None
            raise
        except BlockingIOError:
            raise Busy from None
        finally:
            if txns:
                # After a commit this does nothing.
                txns.pop().abort()
            fcntl.flock(self._gate, fcntl.LOCK_UN)
            sys.setswitchinterval(_usual_interval)

    def _recover(self, error, makes_room, attempt):
        """Return whether another attempt makes sense, after doing what it needs."""
        lmdb = self._lmdb
        if isinstance(error, lmdb.MapResizedError):
            # Another process has a larger size, or needed its reserve.
            self._space.adopt(self.size)
            return True
        if isinstance(error, lmdb.MapFullError):
            return self._space.grow(self.size, makes_room, attempt)
        if isinstance(error, files.corrupt_errors()):
            self._close(error)
            return True
        if isinstance(error, lmdb.PanicError):
            self._close()
            return True
        return False

    def _open(self):
        env, self.directory = files.open_environment(self.path, STEP_BYTES)
        gate = os.path.join(self.directory, GATE_FILE)
        try:
            self._gate = os.open(gate, GATE_FLAGS, 0o600)
            self.ringer = Ringer(self.directory)
            self.expectations = Expectations(self.directory)
            self._space = Space(self.directory, env, self.size)
        except BaseException:
            env.close()
            self._close_gate()
            raise
        self._env = env
        self._begin = partial(env.begin, write=True)
        self.identity = files.identify(self.directory)

    def _close(self, error=None):
        env, self._env = self._env, None
        identity, self.identity = self.identity, None
        if env is not None:
            self._begin = self._space = None
            self.expectations = None
            self.ringer.close()
            env.close()
            self._close_gate()
        if error is not None and identity is not None:
            files.replace(self.path, self.directory, identity, error)

    def _close_gate(self):
        gate, self._gate = self._gate, None
        if gate is not None:
            os.close(gate)

    def _unavailable(self, error):
        size = self.size / 1024 / 1024
        space, is_full = self._space, isinstance(error, self._lmdb.MapFullError)
        is_cut = is_full and space is not None and space.is_cut(self.size)
        if is_cut or files.is_full(error):
            what = "cannot be written, its disk is full"
        elif is_full:
            what = "is full"
        else:
            what = "cannot be used"
        return LayerUnavailable(
            f"The store in {self.path} (of at most {size:g} MB) {what}: {error}"
        )


# The interval outside of transactions; these may be several, on several files.
_usual_interval = sys.getswitchinterval()


def _hurry():
    global _usual_interval
    interval = sys.getswitchinterval()
    # In another transaction it is not the usual one.
    if abs(interval - SWITCH_SECONDS) > SWITCH_SECONDS / 100:
        _usual_interval = interval
        sys.setswitchinterval(min(interval, SWITCH_SECONDS))


def _nothing(txn):
    """Be a transaction that opens the file and does no more."""


# Forks.

_forking = []


def _before_fork():
    # No other thread is in a transaction or in the door, where nobody in the
    # child would let go of the lock. In this order other threads lock them, too.
    _registry_lock.acquire()
    environments = list(_environments.values())
    locks = [environment._lock for environment in environments] + [place.door_lock]
    for lock in locks:
        lock.acquire()
    _forking.append((environments, [*locks, _registry_lock]))


def _after_fork_in_parent():
    _, locks = _forking.pop()
    for lock in locks:
        lock.release()


def _after_fork_in_child():
    environments, _ = _forking[-1]
    for environment in environments:
        # LMDB allows the child no use of it, and one environment for a file.
        environment._close()
        environment._users.clear()
        environment._txns.clear()
    _after_fork_in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
