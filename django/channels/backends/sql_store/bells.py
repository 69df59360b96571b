"""
How processes of one machine ring each other: datagrams on Unix sockets.

In: the names of queues, after a commit. Out: listening.py, in another process.
A datagram carries names and nothing else. One that is lost, or cannot be sent,
is made up for by the look of the layer once a second.
"""

import os
import selectors
import socket
import stat
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

# The longest name of a socket's file, in bytes; less than any system's limit.
MAX_ADDRESS_BYTES = 100
# The longest datagram that is read, in bytes: some names and line feeds.
DATAGRAM_BYTES = 4096
# With so many at a time, others may not have found room in the socket.
CROWD = 8

# One without a descriptor of its own, which a forked child would share.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


def can_read(number):
    """Return whether something waits at a descriptor, or its end has come."""
    with _Selector() as selector:
        selector.register(number, selectors.EVENT_READ)
        return bool(selector.select(0))


def can_ring():
    """Return whether this system has such sockets."""
    return hasattr(socket, "AF_UNIX")


def private_folder():
    """Return the path of a folder for the sockets of this user."""
    folder = Path(tempfile.gettempdir(), f"django-channels-{os.getuid()}")
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise OSError(f"{folder} is not a folder of this user.")
    return folder


def host():
    """Return what processes have in common that see the same files of sockets."""
    parts = [socket.gethostname()]
    for path in ("/proc/sys/kernel/random/boot_id",):
        with suppress(OSError):
            parts.append(Path(path).read_text().strip())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/mnt"))
    return " ".join(parts)[:200]


class Ringer:
    """Sends rings; it needs no socket of its own to be rung."""

    def __init__(self):
        self._socket = None
        self._lock = threading.Lock()
        # {folder: the open descriptor of one whose name is too long}
        self._folders = {}

    def ring(self, address, name):
        """Send the name of a queue; return whether it came to a socket."""
        try:
            own = self._socket or self._open()
            own.sendto(name.encode(), self.short(address))
        except BlockingIOError:
            # Its owner is about to see a crowd.
            return True
        except OSError:
            return False
        return True

    def _open(self):
        with self._lock:
            if self._socket is None:
                own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                own.setblocking(False)
                self._socket = own
            return self._socket

    def short(self, address):
        """Return an address that the system accepts for the same file."""
        if len(os.fsencode(address)) <= MAX_ADDRESS_BYTES:
            return address
        folder, name = os.path.split(address)
        number = self._folders.get(folder)
        if number is None:
            number = self._folders[folder] = os.open(folder, os.O_RDONLY)
        return f"/proc/self/fd/{number}/{name}"

    def close(self):
        """Close what is open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        while self._folders:
            os.close(self._folders.popitem()[1])


class Doorbell:
    """The socket of one process, if it has a folder for it, and its interrupts."""

    def __init__(self, ringer):
        self._ringer = ringer
        self._socket = None
        self._path = None
        self._inside, self._outside = socket.socketpair()
        for end in (self._inside, self._outside):
            end.setblocking(False)
        self._selector = _Selector()
        self._selector.register(self._inside, selectors.EVENT_READ)
        # Held while a thread is in wait().
        self._waiting = threading.Lock()
        self._is_closed = False

    @property
    def has_socket(self):
        """Can other processes ring here?"""
        return self._socket is not None

    def open(self, folder, name):
        """Listen at a file in a folder; return its path, "" if that cannot be."""
        path = os.path.join(folder, name)
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            os.makedirs(folder, exist_ok=True)
            bell.bind(self._ringer.short(path))
        except OSError:
            bell.close()
            return ""
        bell.setblocking(False)
        self._socket, self._path = bell, path
        self._selector.register(bell, selectors.EVENT_READ)
        return path

    def wait(self, seconds, number=None):
        """
        Wait to be rung; return (names, whether there was more, interrupted).

        It also ends when the descriptor ``number`` can be read. A closed one is
        interrupted.
        """
        with self._waiting:
            if self._is_closed:
                return [], False, True
            if number is not None:
                self._selector.register(number, selectors.EVENT_READ)
            try:
                self._selector.select(seconds)
            finally:
                if number is not None:
                    self._selector.unregister(number)
            interrupted = bool(_drain(self._inside))
            datagrams = _drain(self._socket) if self._socket is not None else []
        names = list(
            dict.fromkeys(data.decode("ascii", "replace") for data in datagrams)
        )
        return names, len(datagrams) >= CROWD, interrupted

    def interrupt(self):
        """End the running wait(), or else the next one."""
        # Full, it wakes all the same; closed, nobody waits any more.
        with suppress(OSError):
            self._outside.send(b"!")

    def close(self):
        """End a wait and delete the file."""
        self.interrupt()
        with self._waiting:
            self._close()
        if self._path is not None:
            with suppress(OSError):
                os.unlink(self._path)

    def leave(self):
        """Close, in a forked child, what it has of the parent's."""
        self._close()

    def _close(self):
        self._is_closed = True
        for end in (self._inside, self._outside, self._socket):
            if end is not None:
                end.close()


def _drain(end):
    """Return all datagrams, or pieces of a stream, that wait."""
    found = []
    while True:
        try:
            found.append(end.recv(DATAGRAM_BYTES))
        except BlockingIOError:
            return found
