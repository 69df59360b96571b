"""
Who lives: a file for each process, which the kernel keeps locked until it ends.

In: store.py. Out: files and sockets beside LMDB's, and records in it.

The lock is one of flock(): it belongs to the open file and not to the process,
so that no other use of the file loses it. A forked child inherits it, and lets
go at once; by itself nothing else ever does before the process is gone.
"""

import fcntl
import os
from functools import lru_cache

from . import place, records

# Bytes of chance in the name of a process, two characters each. Names are short,
# because those of sockets are.
ID_BYTES = 6
# How many other processes one look visits.
PEERS = 8


class Life:
    """The file by which others see that this process lives."""

    def __init__(self, directory):
        self._descriptor = None
        self.number = int.from_bytes(os.urandom(ID_BYTES), "big") or 1
        self.path = _file(directory, self.number, place.LIFE_SUFFIX)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        self._descriptor = os.open(self.path, flags, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __del__(self):
        # A layer that was closed and is gone lives no more.
        self.let_go()

    def is_seen(self):
        """Return whether the file is where others look for it."""
        if self._descriptor is None:
            return False
        try:
            there = os.stat(self.path)
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._descriptor))

    def end(self):
        """Let others see that this process is gone."""
        self.let_go()
        place.unlink(self.path)

    def let_go(self):
        """Close the file, which goes on to be its parent's in a forked child."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def name_of(number):
    """Return the name of a process for humans and files."""
    return f"{number:0{2 * ID_BYTES}x}"


def bell_path(directory, number):
    """Return the path of the socket by which a process is rung."""
    return _file(directory, number, place.BELL_SUFFIX)


def enter(step, number):
    """Write down that a process lives."""
    step.puts.append((records.process_key(number), str(os.getpid()).encode()))


def leave(step, number):
    """Write down that a process does not live any more."""
    step.delete(records.process_key(number))


def known(step):
    """Return the numbers of all processes that are thought to live."""
    return [int.from_bytes(key[1:], "big") for key, _ in step.scan(b"p")]


def neighbors(numbers, number):
    """Return some of the other processes, each the neighbor of somebody."""
    numbers = sorted(numbers)
    later = [other for other in numbers if other > number]
    earlier = [other for other in numbers if other < number]
    return (later + earlier)[:PEERS]


def is_dead(directory, number):
    """Return whether a process that is written down has ended."""
    return not place.is_locked(_file(directory, number, place.LIFE_SUFFIX))


def delete_files(directory, number):
    """Delete what a process that has ended left."""
    place.unlink(_file(directory, number, place.LIFE_SUFFIX))
    place.unlink(bell_path(directory, number))


def delete_leftovers(directory, numbers):
    """
    Delete the files of processes that are not written down; in the door only.

    They were killed as they came or went, or the store was replaced.
    """
    names = set(map(name_of, numbers))
    for entry in os.listdir(directory):
        name, suffix = os.path.splitext(entry)
        if suffix not in (place.LIFE_SUFFIX, place.BELL_SUFFIX) or name in names:
            continue
        life = os.path.join(directory, name + place.LIFE_SUFFIX)
        if not place.is_locked(life):
            place.unlink(os.path.join(directory, entry))


@lru_cache(maxsize=1024)
def _file(directory, number, suffix):
    return os.path.join(directory, name_of(number) + suffix)
