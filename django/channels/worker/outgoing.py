"""
What consumers of a worker process sent and what has not left, out of its death's reach.

In: outboxes, from sender.py in the worker process. Out: what is left of them, to
the supervisor, which sends it.
"""

import marshal
import mmap
import os
import struct

# Outboxes that are kept at a time, and the bytes of all of them; what finds no room
# is lost with the process.
SLOTS = 2048
BYTES = 4 * 1024 * 1024

# Is there one, how long is it, and where does it begin?
_SLOT = struct.Struct("=?xxxII")
_BODY = SLOTS * _SLOT.size


class Outgoing:
    """
    Outboxes in a file that two processes have open.

    ``file`` is a descriptor of journal.create_file(), which this closes. One thread
    at a time may use it.
    """

    def __init__(self, file):
        self._file = file
        if os.fstat(file).st_size < _BODY + BYTES:
            os.ftruncate(file, _BODY + BYTES)
        self._map = mmap.mmap(file, _BODY + BYTES)
        self._free = list(range(SLOTS))
        self._end = 0

    def fileno(self):
        """Return the descriptor."""
        return self._file

    def keep(self, sends):
        """
        Keep (layer, name, message, to_group) tuples; return a ticket for forget().

        Return None if there is no room, or a layer that has no alias.
        """
        aliases = [getattr(send[0], "alias", None) for send in sends]
        if not self._free or None in aliases:
            return None
        data = marshal.dumps([(a, *send[1:]) for a, send in zip(aliases, sends)])
        begin, end = self._end, self._end + len(data)
        if end > BYTES:
            return None
        self._map[_BODY + begin : _BODY + end] = data
        self._end = end
        ticket = self._free.pop()
        _SLOT.pack_into(self._map, ticket * _SLOT.size, True, len(data), begin)
        return ticket

    def forget(self, ticket):
        """Keep something no longer: it leaves now."""
        self._map[ticket * _SLOT.size] = 0
        self._free.append(ticket)
        if len(self._free) == SLOTS:
            self._end = 0

    def rest(self):
        """Return [(alias, name, message, to_group), …], in the order of keep()."""
        slots = [_SLOT.unpack_from(self._map, n * _SLOT.size) for n in range(SLOTS)]
        kept = sorted((begin, size) for is_kept, size, begin in slots if is_kept)
        return [
            send
            for begin, size in kept
            for send in marshal.loads(self._map[_BODY + begin : _BODY + begin + size])
        ]

    def close(self):
        """Close the file; its content goes with the last process that has it."""
        self._map.close()
        os.close(self._file)
