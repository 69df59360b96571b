"""
Whose turn it is among the messages of a socket.

In: messages that incoming.py sends, and what workers report about them. Out: the
moment in which the next one may be sent. specs/protocols/websocket.rst, section
"Order", has the rules.
"""

import asyncio
import logging
import time

# The types of replies that are about the order, and not for the client.
ORDERED = "websocket.ordered"
CONSUMED = "websocket.consumed"
CONSUMING = "websocket.consuming"

logger = logging.getLogger("django.channels.interface")


class Turn:
    """
    Which message of a socket is being consumed, if any.

    A message that nobody reports on for ``seconds`` counts as lost; None means
    never. ``path`` is the socket's, for the log.
    """

    def __init__(self, seconds, path):
        self._seconds = seconds
        self._path = path
        self._order = None
        self._deadline = None
        self._changed = asyncio.Event()
        self._is_hurried = False

    @property
    def is_taken(self):
        """Whether a message is being consumed, as far as is known."""
        return self._order is not None

    def take(self, order):
        """Note that the message with a number is about to be sent."""
        self._order = order
        self.renew(order)

    def renew(self, order):
        """Note that a message is still being consumed."""
        if order == self._order and self._seconds is not None:
            self._deadline = time.monotonic() + self._seconds

    def release(self, order):
        """Note that a message was consumed, or never sent."""
        if order == self._order:
            self._order = None
            self._changed.set()

    def hurry(self):
        """Have nobody wait from now on."""
        self._is_hurried = True
        self._changed.set()

    async def come(self):
        """Wait until no message is being consumed."""
        while self._order is not None and not self._is_hurried:
            left = None
            if self._deadline is not None:
                left = self._deadline - time.monotonic()
                if left <= 0:
                    return self._give_up()
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except asyncio.TimeoutError:
                # It may have been renewed meanwhile.
                continue

    def _give_up(self):
        logger.warning(
            "Nobody reported on message %d of a socket to %s for %s s: it counts as "
            "lost.",
            self._order,
            self._path,
            self._seconds,
        )
        self.release(self._order)
