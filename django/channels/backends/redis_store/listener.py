"""
How a process hears: one read that waits on the server, for bell and inboxes.

In: listen() of the store, in one thread at a time. Out: an XREADGROUP that stays
with the server from one call to the next, so that what comes needs no further
question. What it brings is only offered: it is the reader's when it is accepted.
"""

import threading
import time

from .losses import Losses
from .replies import ErrorReply
from .scripts import get_script
from .servers import TIMEOUT_SECONDS
from .wire import Watch, Wire, WireError, pack

# How long a read waits on the server before it is asked anew, in seconds.
READ_SECONDS = 30
# How many entries of each stream one read brings.
READ_COUNT = 256
# How long a listener whose server is away rests, where others listen, in seconds.
AWAY_SECONDS = 1
# The name of the group of readers that each stream has.
GROUP = "r"

ACCEPT = get_script("accept")
# How often the answer to it is asked for, in seconds: the server may have forgotten
# the script.
REPLY_SECONDS = 1
NO_REPLY = pack(("CLIENT", "REPLY", "SKIP"))


class Listener:
    """The read of one shard."""

    def __init__(self, shard, reader, expiry_ms):
        # The shard that it is for.
        self.shard = shard
        self._reader = reader
        self._expiry_ms = expiry_ms
        self._lock = threading.Lock()
        self._wire = Wire(shard.server.connect)
        # The inboxes of the read that is with the server, or None.
        self._reading = None
        # The bell that it reads, too, and what its keys begin with.
        self._bell = self._keys = None
        # What its replies may have brought that did not come.
        self._losses = Losses(shard)
        # The inboxes of the read before, which of them it offered, and how many of
        # these are not accepted.
        self._inboxes = frozenset()
        self._offers = []
        self._offered = 0
        # Its reply, if that was read already.
        self._reply = None
        # The command for it.
        self._command = b""
        # When the server must have answered.
        self._until = 0
        # How many replies to accept.lua come before its own.
        self._owed = 0
        # The words for accept.lua that were not sent yet.
        self._accepted = []
        # Does the server know accept.lua, and when was it asked last?
        self._is_loaded = False
        self._seen = 0
        # Until when it rests.
        self._rests_until = 0
        # Was there no bell, or no inbox, to read?
        self.is_lost = False
        # The last entry of the bell that was read.
        self.last_ring = ""

    def fileno(self):
        """Return the descriptor to wait for."""
        return self._wire.fileno()

    @property
    def is_reading(self):
        """Is a read with the server?"""
        return self._reading is not None

    @property
    def rests(self):
        """Does it rest because its server was away?"""
        return self._rests_until > 0 and time.monotonic() < self._rests_until

    def rest(self, seconds=AWAY_SECONDS):
        """Rest for a while."""
        self._rests_until = time.monotonic() + seconds if seconds else 0

    @property
    def patience(self):
        """How long the server may still take to answer, in seconds."""
        return self._until - time.monotonic()

    @property
    def has_lost(self):
        """Is something missing, or not accepted before the next read?"""
        return self._offered > 0 or self._losses.are_known

    def mending(self):
        """See Losses.mending()."""
        with self._lock:
            if self._offered > 0:
                # Whoever was to accept them has failed.
                self._losses.note(self._offers)
            self._offered = 0
        return self._losses.mending(self._bell)

    def begin(self, bell, inboxes):
        """
        Have a read with the server, for these inboxes and the bell.

        Return [(queue, entries), …] of a read that had to be ended for that. If that
        has lost something, it is to be mended before.
        """
        with self._lock:
            offers = []
            if self.is_reading and not self._serves(bell, inboxes):
                offers = self._end()
            if not (self.is_reading or self._losses.are_known):
                self._send(bell, inboxes)
            return offers

    def accept(self, words):
        """Send what was accepted of one inbox, and read on when it was the last."""
        with self._lock:
            self._accepted += words
            self._offered -= 1
            if self._offered > 0 or self.is_reading or not self._wire.is_open:
                return
            try:
                self._send(self._bell, self._inboxes)
            except WireError:
                # Scripts count what is behind a reader's cursor.
                pass

    def receive(self):
        """Return [(queue, entries), …], empty if there is nothing yet."""
        with self._lock:
            return self._receive()

    def ear(self, bell, inboxes):
        """Return the descriptor that shows all that comes, or None; see Store.ear()."""
        is_well = self._wire.is_plain and not self.has_reply and self.patience > 0
        if not is_well or self.is_lost or not self._serves(bell, inboxes):
            return None
        try:
            return self.fileno()
        except WireError:
            # It was closed just now.
            return None

    def receive_more(self):
        """Receive, and read on if what came is nothing to accept; wait for nothing."""
        with self._lock:
            offers = self._receive()
            is_done = not (self._offered or self.is_reading or self.is_lost)
            if is_done and self._wire.is_open:
                self._send(self._bell, self._inboxes)
            return offers

    @property
    def has_reply(self):
        """Is there something that the descriptor does not show?"""
        return self._reply is not None or self._wire.has_pending()

    def close(self):
        """Close the connection."""
        with self._lock:
            self._wire.close()
            self._reset()

    def _serves(self, bell, inboxes):
        """Return whether the read is one for all of that; this needs no lock."""
        reading = self._reading
        if reading is None or (self._bell, self._keys) != (bell, self.shard.keys):
            return False
        return reading.issuperset(inboxes)

    def _reset(self):
        if self._reading is not None:
            self._losses.note(self._reading)
        self._reading = self._reply = None
        self._owed = 0
        # Scripts count what is behind a reader's cursor.
        self._accepted = []

    def _send(self, bell, inboxes):
        if not self._wire.is_open:
            self._reset()
            self._is_loaded = False
            self.shard.open(self._wire)
            self._wire.stop_blocking()
        wanted = (bell, self.shard.keys, inboxes)
        if wanted != (self._bell, self._keys, self._inboxes):
            self._bell, self._keys, self._inboxes = wanted
            self._command = pack(self._read_words())
        self._owed = 0
        commands = self._accept_commands()
        try:
            self._wire.send_packed(commands + self._command)
        except WireError:
            # It may have come all the same.
            self._reading = inboxes
            self._reset()
            raise
        self._accepted = []
        self.is_lost = False
        self._reading = inboxes
        self._until = time.monotonic() + READ_SECONDS + TIMEOUT_SECONDS

    def _accept_commands(self):
        """Return the commands for what was accepted, and note their replies."""
        if not self._accepted:
            return b""
        words = (self._reader, self._expiry_ms, *self._accepted)
        command = pack(("EVALSHA", ACCEPT.sha, 1, self._keys, *words))
        now = time.monotonic()
        if self._is_loaded and now < self._seen + REPLY_SECONDS:
            # An answer would wake this process up, only to be thrown away.
            return NO_REPLY + command
        self._seen = now
        self._owed = 1
        if not self._is_loaded:
            self._is_loaded = True
            self._owed = 2
            command = pack(("SCRIPT", "LOAD", ACCEPT.text)) + command
        return command

    def _read_words(self):
        streams = [f"{self._keys}p:{self._bell}"]
        streams += [f"{self._keys}i:{name}" for name in sorted(self._inboxes)]
        return (
            ("XREADGROUP", "GROUP", GROUP, self._reader, "COUNT", READ_COUNT)
            + ("BLOCK", READ_SECONDS * 1000, "NOACK", "STREAMS", *streams)
            + (">",) * len(streams)
        )

    def _read_on(self):
        """Read what has come, up to the reply."""
        while self._reply is None:
            reply = self._wire.poll()
            if reply is False:
                return
            if self._owed:
                self._owed -= 1
                if isinstance(reply, ErrorReply):
                    # The next script counts what this one was to count.
                    self._is_loaded = False
            else:
                # None is the reply to a read that has waited long enough.
                self._reply = [] if reply is None else reply

    def _receive(self):
        if not self.is_reading:
            return []
        try:
            self._read_on()
            if self._reply is None:
                if self.patience <= 0:
                    self._wire.close()
                    raise WireError("The server did not answer in time.")
                return []
            reply, self._reply = self._reply, None
            return self._read(reply)
        except WireError:
            self._reset()
            raise

    def _read(self, reply):
        self._reading = None
        self._offers = []
        self._offered = 0
        if isinstance(reply, ErrorReply):
            if not str(reply).startswith(("NOGROUP", "UNBLOCKED")):
                self._wire.close()
                raise WireError(str(reply))
            self.is_lost = True
            return []
        offers = []
        for key, entries in reply:
            name = key[len(self._keys) :].decode()
            if name.startswith("p:"):
                self.last_ring = entries[-1][0].decode()
                rings = dict.fromkeys(fields[1].decode() for _, fields in entries)
                offers += [(queue, None) for queue in rings if queue]
            else:
                self._offers.append(name[2:])
                offers.append((name[2:], entries))
        self._offered = len(self._offers)
        return offers

    def _end(self):
        """End the read that is with the server; return what it brought."""
        is_stale = self._keys != self.shard.keys
        if self._reply is None and (
            is_stale or not self.shard.run("ring_self", self._bell)
        ):
            # There is no bell any more. What may be on its way is taken otherwise.
            self._wire.close()
            self._reset()
            return []
        until = time.monotonic() + TIMEOUT_SECONDS
        offers = self._receive()
        while self.is_reading:
            if not Watch().wait([self], until - time.monotonic()):
                self._wire.close()
                self._reset()
                raise WireError("The server did not answer in time.")
            offers = self._receive()
        return offers
