"""
The bell of a process: a datagram socket with a name that others can find.

In: rings of this and other processes, each the names of queues, and messages that
are handed over, see handing.py. Out: to listen() of the store. A ring that does not
fit is not needed: whoever has as many to read looks at everything that it waits for.
"""

import contextlib
import math
import os
import select
import socket
import threading
from functools import partial

from django.channels.exceptions import LayerUnavailable

from ..shared.spinning import Spinner
from . import place
from .handing import MARK

# The largest ring, in bytes. What does not fit goes into another one. A message that
# is handed over has less, with all that is around it.
MAX_RING = 8192
# How many rings Linux holds for a socket, and where it says so.
BACKLOG = 10
BACKLOG_FILE = "/proc/sys/net/unix/max_dgram_qlen"
# The longest path of a socket, in bytes, on Linux and elsewhere.
MAX_PATH = 103
# What of it the name in the directory is, with the slash.
NAME_LENGTH = 1 + 12 + len(place.BELL_SUFFIX)
# Where Linux has the open files of a process by their numbers, as short paths.
DESCRIPTORS = "/proc/self/fd"


class Ringer:
    """The means to ring others, each by the path of its bell."""

    def __init__(self, directory):
        self._descriptor = None
        if len(os.fsencode(directory)) > MAX_PATH - NAME_LENGTH:
            if not os.path.isdir(DESCRIPTORS):
                raise LayerUnavailable(
                    f"{directory} is too long a path: the names of sockets in it "
                    f"would have more than {MAX_PATH} bytes."
                )
            self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def address(self, path):
        """Return what the socket with a path is reached by."""
        if self._descriptor is None:
            return path
        return f"{DESCRIPTORS}/{self._descriptor}/{os.path.basename(path)}"

    def ring(self, path, names):
        """Ring a process for queues; return whether it is there to hear it."""
        for data in _split(names):
            try:
                self._socket.sendto(data, self.address(path))
            except (FileNotFoundError, ConnectionError):
                return False
            except OSError:
                # It has enough to read.
                pass
        return True

    def hand(self, path, data):
        """Hand a process a message; return whether it has it."""
        try:
            self._socket.sendto(data, self.address(path))
        except OSError:
            return False
        return True

    def close(self):
        """Close what this holds."""
        self._socket.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Bell:
    """The bell of this process."""

    def __init__(self, ringer, path, handed):
        self._ringer = ringer
        self._path = path
        self._handed = handed
        self._backlog = _read_backlog()
        # One thread at a time listens, or closes.
        self._listening = threading.Lock()
        self._closed = False
        # How much was read since there was nothing to read.
        self._count = 0
        # Did fetch() read so much that rings may be missing?
        self._is_missing = False
        # What interrupts goes in at one end, and what listens waits at the other.
        self._awaken, self._asleep = socket.socketpair()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sockets = (self._awaken, self._asleep, self._socket)
        self._poll = select.poll()
        self._look = partial(self._poll.poll, 0)
        self._spinner = Spinner()
        for listening in self._sockets:
            listening.setblocking(False)
        for heard in (self._asleep, self._socket):
            self._poll.register(heard, select.POLLIN)
        place.unlink(path)
        try:
            self._socket.bind(ringer.address(path))
        except BaseException:
            self.let_go()
            raise

    def ear(self):
        """Return the descriptor that can be read when listen() has something."""
        return None if self._closed else self._socket.fileno()

    def listen(self, timeout):
        """
        Wait to be rung; return the names of queues, and whether some may be missing.

        Before these come the inboxes for which something was handed over.
        """
        with self._listening:
            if self._closed:
                return [], [], False
            ready = self._wait(timeout)
            if len(ready) == 2 or ready and ready[0][0] != self._socket.fileno():
                with contextlib.suppress(BlockingIOError):
                    self._asleep.recv(MAX_RING)
            with self._handed.lock:
                rings, is_missing = self._read(False)
                is_missing |= self._is_missing
                self._is_missing = False
                offered = self._handed.names()
        names = "\n".join([ring.decode("ascii") for ring in rings if ring])
        return offered, names.split("\n") if names else [], is_missing

    def fetch(self):
        """Read what was handed over by now; leave the rings to listen()."""
        with self._handed.lock:
            if self._socket.fileno() < 0:
                return
            rings, is_missing = self._read(True)
            self._is_missing |= is_missing
            if is_missing or self._handed.names():
                # A ring for nothing: a loop that listens waits for nothing else.
                rings.append(b"")
        for ring in rings:
            self._ringer.ring(self._path, [ring.decode("ascii")])

    def _read(self, reads_all):
        """
        Return the rings that are there, and whether some may be missing.

        Unless it is to read all, it stops at a message that was handed over, as long
        as it has not read so much that more would mean that some are missing.
        """
        rings, count, is_empty = [], 0, False
        try:
            while count <= self._backlog:
                data = self._socket.recv(MAX_RING)
                count += 1
                if not data.startswith(MARK):
                    rings.append(data)
                    continue
                self._handed.add(data)
                if not reads_all and self._count + count < self._backlog - 1:
                    break
        except BlockingIOError:
            is_empty = True
        self._count += count
        is_missing = self._count >= self._backlog
        if is_empty or is_missing:
            self._count = 0
        return rings, is_missing

    def _wait(self, seconds):
        """Return the pairs of descriptor and event that poll() returns."""
        if seconds <= 0:
            return self._look()
        sleep = partial(self._poll.poll, math.ceil(seconds * 1000))
        return self._spinner.wait(self._look, sleep)

    def interrupt(self):
        """End listen()."""
        try:
            self._awaken.send(b"!")
        except OSError:
            # Interrupted so often that no more fits, or closed.
            pass

    def close(self):
        """Close the bell. It is not rung any more."""
        self._closed = True
        self.interrupt()
        with self._listening, self._handed.lock:
            place.unlink(self._path)
            # Whoever has found it by now is refused; some systems have no need of it.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RD)
            # What was handed over until then is not lost.
            self._read(True)
            self.let_go()

    def let_go(self):
        """Close the sockets, which go on to be the parent's in a forked child."""
        self._closed = True
        for kept in self._sockets:
            kept.close()


def _split(names):
    """Yield rings, none of which is larger than MAX_RING."""
    ring = []
    size = 0
    for name in names:
        if ring and size + len(name) + 1 > MAX_RING:
            yield "\n".join(ring).encode("ascii")
            ring, size = [], 0
        ring.append(name)
        size += len(name) + 1
    yield "\n".join(ring).encode("ascii")


def _read_backlog():
    try:
        with open(BACKLOG_FILE) as file:
            return max(int(file.read()), 1)
    except (OSError, ValueError):
        return BACKLOG
