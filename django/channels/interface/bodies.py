"""
The body of one HTTP request, from a server's events to messages.

In: http.request events; credit, from http.py. Out: chunks for http.py, and
http.request.body messages.
"""

import asyncio
import contextlib
import logging

from django.channels.backoff import FIRST_RETRY_SECONDS, Backoff
from django.channels.exceptions import ChannelFull, LayerUnavailable
from django.channels.interface.dispatch import NO_ROOM, finish

# Bytes of a body in one message.
BODY_CHUNK_BYTES = 64 * 1024
# Chunks of a body that may be sent before the other side has read some.
BODY_WINDOW = 64
# Seconds between two tries to send to a channel that is full, at the most.
LAST_RETRY_SECONDS = 0.05

logger = logging.getLogger("django.channels.interface")


class ClientGone(Exception):
    """Raised when the client is found to have gone away."""


class Refused(Exception):
    """Raised to answer a request with an error of the interface's own."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status
        self.reason = reason

    @classmethod
    def unanswered(cls, path, seconds):
        """Return the refusal of a request to a path that had no response in time."""
        logger.warning("No response to %s came within %s s.", path, seconds)
        return cls(503, "Worker server failed to respond within time limit.")


class Progress:
    """When a request went on the last time, by the clock of its event loop."""

    def __init__(self):
        self.note()

    def note(self):
        """Note that it goes on now: its time begins anew."""
        self.last = asyncio.get_running_loop().time()


def is_credit(chunks, path):
    """Return whether it is a number of chunks; log it if not."""
    if type(chunks) is int and 0 < chunks <= BODY_WINDOW:
        return True
    logger.error(
        "Ignored a credit for %s: chunks must be an int from 1 to %d, not %r.",
        path,
        BODY_WINDOW,
        chunks,
    )
    return False


class RequestBody:
    """
    Reads a body, and forwards what does not fit into the request.

    ``receive`` is the server's, ``limit`` a number of bytes or None. ``progress``,
    a Progress, is told whenever the client has sent some, or a consumer has read
    some.
    """

    def __init__(self, layer, receive, limit, progress):
        self._layer = layer
        self._receive = receive
        self._limit = limit
        self._progress = progress
        # What no message took yet, bytes so far, whether all came.
        self._buffer = bytearray()
        self._received = 0
        self._ended = False
        self._channel = None
        self._credit = None
        # Does the client keep us waiting?
        self.is_awaited = True

    @property
    def has_more(self):
        """Is there something that no message took yet?"""
        return bool(self._buffer) or not self._ended

    def check_size(self, size):
        """Raise Refused if so many bytes are too many."""
        if self._limit is not None and size > self._limit:
            raise Refused(413, f"Request body exceeds {self._limit} bytes.")

    async def read_chunk(self):
        """Return the next part, a full chunk unless it is the last."""
        self.is_awaited = True
        while not self._ended and len(self._buffer) < BODY_CHUNK_BYTES:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                raise ClientGone
            part = event.get("body", b"")
            self._ended = not event.get("more_body", False)
            self._received += len(part)
            self.check_size(self._received)
            if self._ended and not self._buffer and len(part) <= BODY_CHUNK_BYTES:
                # Nearly every request: all of its body in one event.
                self.is_awaited = False
                return bytes(part)
            self._buffer += part
            self._progress.note()
        self.is_awaited = False
        chunk = bytes(self._buffer[:BODY_CHUNK_BYTES])
        del self._buffer[:BODY_CHUNK_BYTES]
        return chunk

    async def open_channel(self):
        """Return the name of a new channel for what has_more says is left."""
        self._credit = asyncio.Semaphore(BODY_WINDOW)
        self._channel = await self._layer.anew_channel("http.request.body?")
        return self._channel

    async def forward(self):
        """Send what is left, as fast as it is read."""
        while self.has_more:
            await self._credit.acquire()
            chunk = await self.read_chunk()
            await self._send(content=chunk, more_content=self.has_more)

    def add_credit(self, chunks, path):
        """Let so many more chunks be sent; log what is no such number."""
        if is_credit(chunks, path) and self._credit is not None:
            self._progress.note()
            for _ in range(chunks):
                self._credit.release()

    async def close(self):
        """Tell whoever still reads the body that nothing follows."""
        if self._channel is not None and self.has_more:
            closed = {"type": "http.request.body", "closed": True}
            with contextlib.suppress(*NO_ROOM):
                await finish(self._layer.asend(self._channel, closed))

    async def _send(self, **content):
        message = {"type": "http.request.body", **content}
        pauses = Backoff(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS)
        while True:
            try:
                return await finish(self._layer.asend(self._channel, message))
            except ChannelFull:
                await asyncio.sleep(pauses.next())
            except LayerUnavailable:
                # It may have been stored: a second one would garble the body.
                raise Refused(503, "Request queue not available.")
