"""
A script on its way to the server, for who waits without a thread.

In: shards.py, which begins it. Out: the courier of the shared layer, which polls it
on an event loop, or has a thread conclude it.
"""

from ..shared.flights import Flight, Unsettled
from .replies import ErrorReply
from .wire import WireError


class ScriptFlight(Flight):
    """A script that begins; ``finish`` makes its reply the result."""

    def __init__(self, shard, wire, script, words, finish):
        self.wire = wire
        self.is_over = False
        self._shard = shard
        self._script = script
        self._words = words
        self._finish = finish
        # The error that the server answered.
        self._error = None
        # What the socket had no room for.
        self._unsent = wire.send_some(shard.pack(script, words))

    @property
    def is_stuck(self):
        return bool(self._unsent) or not self.wire.is_open

    def fileno(self):
        return self.wire.fileno()

    def poll(self):
        try:
            reply = self.wire.poll()
        except WireError as error:
            raise Unsettled from error
        if reply is False:
            return None
        if isinstance(reply, ErrorReply):
            self._error = reply
            raise Unsettled
        self.is_over = True
        self._shard.give_back(self.wire)
        return self._finish(reply)

    def conclude(self):
        self.is_over = True
        words = self._words
        return self._finish(
            self._shard.carry_on(self.wire, self._script, words, self._read)
        )

    def _read(self, wire):
        """Return the reply to what was begun; raise WireError if it is lost."""
        if self._error is not None:
            return self._error
        if self._unsent:
            wire.send_packed(self._unsent)
        return wire.read()
