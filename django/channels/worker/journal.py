"""
What a worker process has fetched or begun, where its death cannot reach it.

In: batches, from prefetch.py in the worker process, and messages whose servers
wait for their end, from reports.py. Out: what is left of both, to the supervisor,
which puts back what has not begun, and tells those servers.
"""

import logging
import marshal
import mmap
import os
import struct
import tempfile
import time
from collections import deque

# Messages of one batch.
LIMIT = 128
# Bytes of a file that stay allocated from batch to batch.
KEPT_BYTES = 1024 * 1024
# Where a file is that no disk has to keep; elsewhere one among other files.
MEMORY_FOLDER = "/dev/shm"

# When the process last moved; is there a batch, of how many messages and bytes?
_BEAT = struct.Struct("=d")
_HEAD = struct.Struct("=?xxxIQ")
_HEAD_AT = _BEAT.size
# The marks of messages that have begun are behind the head, a byte each.
_MARKS = _HEAD_AT + _HEAD.size
# Behind them, begun messages that are awaited: is there one, its number, and the
# bytes of the reply channel that follows.
SLOTS = 256
_SLOT = struct.Struct("=?qB")
_SLOT_BYTES = 128
_SLOTS_AT = 1024
_BODY = -(-(_SLOTS_AT + SLOTS * _SLOT_BYTES) // mmap.ALLOCATIONGRANULARITY) * (
    mmap.ALLOCATIONGRANULARITY
)
_NO_MARKS = bytes(LIMIT)

logger = logging.getLogger("django.channels.worker")


def create_file():
    """Return a descriptor of a new file for a Journal, without a name."""
    folder = MEMORY_FOLDER if os.path.isdir(MEMORY_FOLDER) else None
    with tempfile.TemporaryFile(dir=folder) as file:
        os.ftruncate(file.fileno(), _BODY)
        return os.dup(file.fileno())


class Journal:
    """
    One batch of messages in a file that two processes have open.

    ``file`` is a descriptor of create_file(), which the journal closes.
    """

    def __init__(self, file):
        self._file = file
        self._map = mmap.mmap(file, _BODY)
        self._size = 0
        self._failed = False
        # What ended longest ago is written over first.
        self._free = deque(range(SLOTS))

    def fileno(self):
        """Return the descriptor."""
        return self._file

    def beat(self):
        """Note that the worker process moves."""
        _BEAT.pack_into(self._map, 0, time.monotonic())

    def last_beat(self):
        """Return when it last did, on the clock time.monotonic()."""
        return _BEAT.unpack_from(self._map, 0)[0]

    def record(self, pairs):
        """
        Keep (channel, message) pairs instead of the last ones.

        Raise ValueError for more than LIMIT. What the file has no room for is
        not kept; the log says so once.
        """
        if len(pairs) > LIMIT:
            raise ValueError(f"A journal keeps {LIMIT} messages, not {len(pairs)}.")
        _HEAD.pack_into(self._map, _HEAD_AT, False, 0, 0)
        if not pairs:
            return
        data = marshal.dumps(pairs)
        try:
            if max(self._size, len(data)) > KEPT_BYTES:
                os.ftruncate(self._file, _BODY)
            os.pwrite(self._file, data, _BODY)
        except OSError as error:
            self._log_failure(error)
            return
        self._size = len(data)
        self._map[_MARKS : _MARKS + LIMIT] = _NO_MARKS
        # Only now does it count: a death before leaves no half of a batch.
        _HEAD.pack_into(self._map, _HEAD_AT, True, len(pairs), len(data))

    def begin(self, index):
        """Note that a message of the batch is begun, or put back elsewhere."""
        self._map[_MARKS + index] = 1

    def rest(self):
        """Return the pairs that have not begun."""
        is_valid, count, size = _HEAD.unpack_from(self._map, _HEAD_AT)
        if not is_valid:
            return []
        pairs = marshal.loads(os.pread(self._file, size, _BODY))
        marks = self._map[_MARKS : _MARKS + count]
        return [pair for pair, mark in zip(pairs, marks) if not mark]

    def await_end(self, reply_channel, order):
        """
        Note that a server waits for the end of a message; return its slot.

        Return None if there is none left.
        """
        try:
            slot = self._free.popleft()
        except IndexError:
            return None
        at, name = _SLOTS_AT + slot * _SLOT_BYTES, reply_channel.encode("ascii")
        _SLOT.pack_into(self._map, at, False, order, len(name))
        self._map[at + _SLOT.size : at + _SLOT.size + len(name)] = name
        # Only now does it count.
        self._map[at] = True
        return slot

    def end(self, slot, comes_again=False):
        """
        Note that the message of a slot has ended.

        It still is one of awaited(), as the server may not have heard of it yet,
        unless it comes again.
        """
        if comes_again:
            self._map[_SLOTS_AT + slot * _SLOT_BYTES] = False
        self._free.append(slot)

    def awaited(self):
        """Return (reply channel, order) of messages that begun, and ended lately."""
        found = []
        for at in range(_SLOTS_AT, _SLOTS_AT + SLOTS * _SLOT_BYTES, _SLOT_BYTES):
            is_valid, order, size = _SLOT.unpack_from(self._map, at)
            if is_valid:
                name = self._map[at + _SLOT.size : at + _SLOT.size + size]
                found.append((name.decode("ascii"), order))
        return found

    def close(self):
        """Close the file; its content goes with the last process that has it."""
        self._map.close()
        os.close(self._file)

    def _log_failure(self, error):
        if not self._failed:
            self._failed = True
            logger.error(
                "What this worker has fetched is lost if it is killed: %s. This is "
                "said once.",
                error,
            )
