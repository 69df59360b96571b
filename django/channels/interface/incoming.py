"""
What comes from a socket, on its way to the consumers.

In: the server's events, from websocket.py, and what workers report about the
order. Out: websocket.connect, websocket.receive, websocket.gap and
websocket.disconnect messages, to the lane of the socket.
"""

import asyncio
import contextlib
import logging
import math
import os
import time
import weakref
from collections import deque

from django.channels.backoff import FIRST_RETRY_SECONDS, Backoff
from django.channels.exceptions import MessageTooLarge
from django.channels.interface.dispatch import NO_ROOM, begin
from django.channels.interface.endings import (
    ABNORMAL,
    INVALID_PAYLOAD,
    POLICY_VIOLATION,
    TOO_BIG,
    TRY_AGAIN_LATER,
    describe_refusal,
)
from django.channels.interface.frames import Rate, size_of
from django.channels.interface.line import Place
from django.channels.interface.turns import CONSUMED, CONSUMING, ORDERED, Turn

# Seconds for which a websocket.disconnect is tried again on a full channel.
DISCONNECT_RETRY_SECONDS = 10.0
# Seconds between two tries, at the most.
LAST_RETRY_SECONDS = 0.05

logger = logging.getLogger("django.channels.interface")


class Incoming:
    """
    Numbers the messages of a socket and sends each when its turn has come.

    ``refuse(code, reason)``, a method, is called when the socket is to be closed
    for what its client sent.
    """

    def __init__(self, application, scope, refuse):
        # The sockets whose disconnect is still to be sent.
        self._open = application.open_sockets
        self._lane = application.dispatcher.open()
        self._lines = application.frames
        self._limits = application.limits
        self._rate = Rate(self._limits["WEBSOCKET_MESSAGES_PER_SECOND"])
        self._path = path = scope["path"]
        self._root_path = scope.get("root_path", "")
        # Not to keep the socket that it belongs to: nobody would free both.
        self._get_refuse = weakref.WeakMethod(refuse)
        self._pid = os.getpid()
        self._number = 0
        self._is_ordered = self._lane.keeps_order
        self._turn = None
        if not self._lane.keeps_order:
            self._turn = Turn(self._limits["WEBSOCKET_ORDER_SECONDS"], path)
        # What waits for its turn, (channel, content), and who sends it.
        self._waiting = deque()
        self._sender = None
        self.reply_channel = None
        self.close_code = ABNORMAL

    @property
    def is_waiting(self):
        """Whether a disconnect would have to wait for its turn."""
        return self._turn is not None and (self._turn.is_taken or bool(self._sender))

    async def connect(self, handshake):
        """Send websocket.connect; raise what the lane raises."""
        try:
            await self._send("websocket.connect", handshake)
        finally:
            # Who was cancelled may have sent it nevertheless.
            if self._number:
                self._open.add(self)

    async def receive(self, event):
        """Take a message of the client."""
        text, data = event.get("text"), event.get("bytes")
        limit = self._limits["WEBSOCKET_MESSAGE_BYTES"]
        if limit is not None and size_of(text, data) > limit:
            return self._refuse(TOO_BIG, f"a message exceeds {limit} bytes")
        if not self._rate.allows():
            return self._refuse(POLICY_VIOLATION, "it sends too many messages")
        frame = {"text": text} if text is not None else {"bytes": data}
        await self.send("websocket.receive", frame)

    async def send(self, channel, content):
        """Send a message, or have it sent when its turn has come."""
        if not self._is_ordered or not self.is_waiting:
            return await self._send_or_refuse(channel, content)
        limit = self._limits["WEBSOCKET_PENDING_MESSAGES"]
        if limit is not None and len(self._waiting) >= limit:
            return self._refuse(TRY_AGAIN_LATER, "message queue full")
        self._waiting.append((channel, content))
        if self._sender is None:
            self._sender = begin(self._send_in_turn())

    async def disconnect(self):
        """Tell the consumers, once and in its turn, that the socket ended."""
        with contextlib.suppress(asyncio.CancelledError):
            # If it is cancelled, nothing waits any longer.
            await self._drain()
        deadline = time.monotonic() + DISCONNECT_RETRY_SECONDS
        pauses = Backoff(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS)
        while self._claim_disconnect():
            try:
                end = {"code": self.close_code}
                return await self._send("websocket.disconnect", end)
            except NO_ROOM as error:
                if time.monotonic() >= deadline:
                    logger.error(
                        "Lost websocket.disconnect of %s: %s", self._path, error
                    )
                    return
                # The process may end before the next try: see leave_behind().
                self._open.add(self)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(pauses.next())

    def hurry(self):
        """Have nothing wait for its turn any longer: the server ends."""
        self._waiting.clear()
        if self._turn is not None:
            self._turn.hurry()

    def leave_behind(self):
        """
        Tell the consumers that the socket ended, if nobody has yet.

        Called at the end of the process, when the server runs nothing any more.
        """
        # In a forked child, the socket is still the parent's.
        if self._pid == os.getpid() and self._claim_disconnect():
            message = self._get_message(
                "websocket.disconnect", {"code": self.close_code}
            )
            try:
                self._lane.send_now("websocket.disconnect", message)
            except Exception:
                logger.exception("Lost websocket.disconnect of %s.", self._path)

    def hear(self, kind, reply):
        """Take a reply if its type is about the order; return whether it was."""
        if kind not in (ORDERED, CONSUMED, CONSUMING):
            return False
        if kind == ORDERED:
            self._is_ordered = True
        elif self._turn is not None and kind == CONSUMED:
            self._turn.release(reply.get("order"))
        elif self._turn is not None:
            self._turn.renew(reply.get("order"))
        return True

    def note_answer(self):
        """Note that somebody consumes the connect: it was answered."""
        if not self._is_ordered:
            self._turn.release(0)

    async def _drain(self):
        if self._sender is not None:
            await self._sender
        if self._turn is not None:
            await self._turn.come()

    async def _send_in_turn(self):
        try:
            while self._waiting:
                await self._turn.come()
                if self._waiting:
                    await self._send_or_refuse(*self._waiting.popleft())
        except Exception:
            logger.exception("Cannot send what waits of %s.", self._path)
        finally:
            self._sender = None

    async def _send_or_refuse(self, channel, content):
        try:
            return await self._send(channel, content)
        except NO_ROOM as error:
            code, reason = TRY_AGAIN_LATER, describe_refusal("message queue", error)
        except MessageTooLarge as error:
            code, reason = TOO_BIG, str(error)
        except TypeError as error:
            code, reason = INVALID_PAYLOAD, str(error)
        self._waiting.clear()
        self._refuse(code, reason)

    async def _send(self, channel, content):
        message = self._get_message(channel, content)
        waits = self._turn is not None and (self._is_ordered or message["order"] == 0)
        if waits:
            self._turn.take(message["order"])
        place = self._get_place(channel, message)
        try:
            if place is None:
                await self._lane.send(channel, message)
            else:
                await self._lines[channel].here().send(place)
        except BaseException as error:
            # Who is cancelled may have sent it nevertheless.
            cancelled = isinstance(error, asyncio.CancelledError)
            if not cancelled or (place is not None and not place.is_sent):
                # Its number is the next one's.
                self._number -= 1
                if waits:
                    self._turn.release(message["order"])
            raise
        if waits:
            # Only now does the time begin in which the layer keeps it.
            self._turn.renew(message["order"])

    def _refuse(self, code, reason):
        if (refuse := self._get_refuse()) is not None:
            refuse(code, reason)

    def _get_place(self, channel, message):
        """Return the place of a message in a line, None if it stands in none."""
        if self._lane.keeps_order or channel not in self._lines:
            return None
        most = None
        if channel == "websocket.connect":
            most = self._limits["WEBSOCKET_HANDSHAKE_SECONDS"]
        seconds = self._limits["WEBSOCKET_QUEUE_SECONDS"]
        return Place(self._lane, message, seconds or math.inf, most or math.inf)

    def _get_message(self, channel, content):
        message = {
            "type": channel,
            "reply_channel": self.reply_channel,
            "path": self._path,
            "order": self._number,
            **content,
        }
        if self._root_path:
            # Workers route by what comes behind it.
            message["root_path"] = self._root_path
        if self._is_ordered:
            message["ordered"] = True
            if self._turn is not None:
                message["confirm"] = True
        elif self._number == 0:
            message["ordered"] = False
        self._number += 1
        return message

    def _claim_disconnect(self):
        """Return whether nobody else has sent it, or is about to."""
        try:
            self._open.remove(self)
        except KeyError:
            return False
        return True
