"""
Messages that a process is handed because a receive of it waits for them.

In: sends, which see within a transaction that a receive waits for an inbox, and that
there is nothing in it. Out: datagrams to the bell of its process, each with a message
that is in no queue then: it was delivered.

A receive says that it waits in a file, and whoever serves it takes that back. So it
is one message at a time, and none that has to wait for room for it. What is in the
file need not be so: a receive that is not served waits to be rung, as always.
"""

import contextlib
import os
import threading
from functools import lru_cache
from hashlib import blake2b
from struct import Struct

WAITING_FILE = "waiting"
WAITING_FLAGS = os.O_RDWR | os.O_CREAT
# How many words the file has. Where two processes have the same one, one of them is
# only rung.
WORDS = 4096
WORD_BYTES = 8
_NOBODY = bytes(WORD_BYTES)
# The largest message that is handed over, in bytes.
LARGEST = 4096

# What such a datagram begins with, and no name of a queue does; then a deadline. The
# name of the inbox follows, and behind a line feed the message.
MARK = b"\0"
_HEADER = Struct("<cd")


class Expectations:
    """The file in which processes say for which inbox a receive waits."""

    _file = None

    def __init__(self, directory):
        path = os.path.join(directory, WAITING_FILE)
        self._file = os.open(path, WAITING_FLAGS, 0o600)

    def __del__(self):
        # Not earlier: another thread may be about to write.
        if self._file is not None:
            os.close(self._file)

    def begin(self, process, inbox):
        """Say that a receive waits; return whether it can be said."""
        place, word = _find(process, inbox)
        try:
            os.pwrite(self._file, word, place)
        except OSError:
            # The disk is full: it is rung.
            return False
        return True

    def end(self, process, inbox):
        """Say that it does not wait any more."""
        place, _ = _find(process, inbox)
        # OSError: it stays, and the inbox may once hold a message more.
        with contextlib.suppress(OSError):
            os.pwrite(self._file, _NOBODY, place)

    def serve(self, process, inbox):
        """Return whether a receive waits, which then does so no more."""
        place, word = _find(process, inbox)
        if os.pread(self._file, WORD_BYTES, place) != word:
            return False
        os.pwrite(self._file, _NOBODY, place)
        return True


class Handed:
    """What was handed to this process, and not accepted yet."""

    def __init__(self):
        # Held from before a datagram is read until it is here: then nobody who
        # looks for it overtakes it.
        self.lock = threading.Lock()
        self._messages = {}

    def add(self, data):
        """Keep the message of a datagram; with the lock."""
        _, deadline = _HEADER.unpack_from(data)
        name, _, payload = data[_HEADER.size :].partition(b"\n")
        messages = self._messages.setdefault(name.decode("ascii"), [])
        messages.append((deadline, payload))

    def names(self):
        """Return the inboxes for which there is something; with the lock."""
        return list(self._messages)

    def count(self, inbox):
        """Return how many there are for an inbox; with the lock."""
        return len(self._messages.get(inbox, ()))

    def pop(self, inbox, count):
        """
        Return the first [(deadline, payload), …] of an inbox; with the lock.

        They are all, with None for ``count``.
        """
        messages = self._messages.pop(inbox, [])
        if count is not None and messages[count:]:
            self._messages[inbox] = messages[count:]
        return messages[:count]


def pack(inbox, deadline, payload):
    """Return the datagram with a message."""
    return _HEADER.pack(MARK, deadline) + inbox.encode("ascii") + b"\n" + payload


@lru_cache(maxsize=4096)
def _find(process, inbox):
    """Return the place in the file, and the word that stands there."""
    word = blake2b(b"%d %s" % (process, inbox.encode()), digest_size=WORD_BYTES)
    return process % WORDS * WORD_BYTES, word.digest()
