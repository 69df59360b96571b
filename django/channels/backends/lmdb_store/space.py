"""
How far the file of a store may grow: for who sends, and for who makes room.

In: environment.py, between its transactions and at the end of one. Out: the size of
LMDB's map, and bytes that the disk keeps for the file.

Whoever makes room needs some pages for it that nobody else may have, also when the
disk is full. So the file is always longer, by these, than what others may use, and
grows before they need more.
"""

import os

from . import files

# By how much of its size the map grows for who makes room, if the disk allows it.
RESERVE_PARTS = 8
# The bytes behind what others may use that the disk keeps for who makes room.
KEPT_BYTES = 512 * 1024
# What others may use grows by so much, or by a quarter; by less on a full disk.
STEP_BYTES = 1024 * 1024
LEAST_STEP_BYTES = 64 * 1024


class Space:
    """The space of an open file; ``env`` is LMDB's environment."""

    def __init__(self, directory, env, size):
        self._file = os.path.join(directory, files.DATA_FILE)
        self._env = env
        self._map_size = env.info()["map_size"]
        self._measure(size)
        if self._limit < STEP_BYTES:
            self.grow(size, False, 0)

    @property
    def has_reserve(self):
        """Does the map have what others than who makes room may not use?"""
        return self._map_size > self._limit

    def exceeds(self, txn):
        """Return whether a transaction uses more than those may who make no room."""
        stat = txn.stat()
        pages = sum(stat[f"{kind}_pages"] for kind in ("branch", "leaf", "overflow"))
        return pages * stat["psize"] > self._limit

    def used(self):
        """Return how many bytes of the file were ever used."""
        return (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]

    def adopt(self, size):
        """Use the map as large as another process has made it."""
        self._measure(size)
        self._set_map(0)

    def grow(self, size, makes_room, attempt):
        """
        Let the file grow, for the attempt of that number; return whether it did.

        Without ``makes_room`` to ``size`` at most.
        """
        if self._limit < size:
            step = max(STEP_BYTES, self._limit // 4) << (4 * attempt)
            if self._extend(size, min(step, size - self._limit)):
                self._set_map(max(self._limit, self._map_size))
                return True
            most = self._length
        else:
            most = size + max(size // RESERVE_PARTS, KEPT_BYTES)
        if not makes_room or self._map_size >= most:
            return False
        self._set_map(most)
        return True

    def is_cut(self, size):
        """Return whether the disk has kept less than such a file could have."""
        return self._limit < size

    def _extend(self, size, step):
        """Have the disk keep more; return whether others may use more now."""
        before = self._limit
        while not self._keep(before + step + KEPT_BYTES) and step > LEAST_STEP_BYTES:
            step //= 2
        self._measure(size)
        return self._limit > before

    def _measure(self, size):
        """Find the bytes of the file, and those that others may use."""
        self._length = os.stat(self._file).st_size
        kept = min(self._length - KEPT_BYTES, size)
        # Another process may have a larger size.
        larger = self._length - max(size // RESERVE_PARTS, KEPT_BYTES)
        self._limit = max(kept, larger, 0)

    def _keep(self, length):
        """Have the disk keep so many bytes for the file; return whether it does."""
        file = os.open(self._file, os.O_RDWR)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file, 0, length)
            elif os.fstat(file).st_size < length:
                # It is longer, but the disk keeps nothing.
                os.truncate(file, length)
        except OSError as error:
            if not files.is_full(error):
                raise
            return False
        finally:
            os.close(file)
        return True

    def _set_map(self, size):
        self._env.set_mapsize(size)
        self._map_size = self._env.info()["map_size"]
