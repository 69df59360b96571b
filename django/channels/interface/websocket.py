"""
One WebSocket: from a server's events to messages, and back.

In: websocket.* events of the server; reply messages on the reply channel.
Out: what the client sends, to incoming.py; websocket.* events for the server.
The messages and the decision table of the handshake are described in
specs/protocols/websocket.rst.
"""

import asyncio
import contextlib
import enum
import logging

from django.channels.exceptions import MessageTooLarge
from django.channels.interface.dispatch import NO_ROOM
from django.channels.interface.endings import (
    ABNORMAL,
    NORMAL,
    POLICY_VIOLATION,
    TRY_AGAIN_LATER,
    close_socket,
    describe_refusal,
    refuse_handshake,
    says_gone,
)
from django.channels.interface.frames import (
    get_handshake,
    get_send_event,
    handshake_error,
    is_only_text,
    reply_error,
)
from django.channels.interface.incoming import Incoming
from django.channels.interface.writer import Writer
from django.channels.security.websockets import describe_origin, is_origin_allowed

# What a layer sends to the members of groups when messages may be lost.
GAP_TYPE = "layer.gap"
# Seconds that a server has to report the end of a socket that we closed, and that
# it waits for the consumers of what came before the end.
CLOSE_SECONDS = 5.0

logger = logging.getLogger("django.channels.interface")


class State(enum.Enum):
    """How far a socket is. It only ever moves down this list."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class WebSocketConnection:
    """
    Serves one socket.

    A task reads the server's events; the calling one writes replies.
    """

    def __init__(self, application, scope, receive, send):
        self._replies = application.replies
        self._lingering = application.lingering
        self._limits = application.limits
        self._incoming = Incoming(application, scope, self._give_up)
        self._scope = scope
        self._handshake = get_handshake(scope)
        self._receive = receive
        self._send = send
        self._state = State.CONNECTING
        self._is_answered = False
        # Whether the reader heard that the socket ended.
        self._is_over = False
        # Whether _give_up() decided the end, and _abandon() could not wait for it.
        self._given_up = False
        self._abandoned = False
        self._writer = Writer()
        self._timer = None

    async def serve(self):
        """Carry messages between the socket and its consumers until it ends."""
        await self._receive()  # websocket.connect
        if self._limits["WEBSOCKET_CHECK_ORIGIN"] and not is_origin_allowed(
            self._handshake["headers"]
        ):
            logger.warning(
                "Refused a socket to %s: its %s",
                self._scope["path"],
                describe_origin(self._handshake["headers"]),
            )
            return await self._refuse(403, "Origin not allowed.")
        self._incoming.reply_channel = await self._replies.open(self._deliver)
        try:
            await self._serve_connected()
        except asyncio.CancelledError:
            self._incoming.hurry()
            raise
        finally:
            await self._end()

    async def _serve_connected(self):
        try:
            await self._incoming.connect(self._handshake)
        except NO_ROOM as error:
            reason = describe_refusal("Connection queue", error)
            return await self._refuse(503, f"{reason}.")
        except MessageTooLarge:
            return await self._refuse(431, "Request headers too large.")
        reader = asyncio.ensure_future(self._read())
        reader.add_done_callback(lambda task: self._writer.wake())
        try:
            await self._write_until(reader)
        finally:
            self._state = State.CLOSED
            reader.cancel()
            await _until_done(reader)

    async def _end(self):
        """
        Tell the consumers that the socket ended.

        That may have to wait for its turn: longer than the server waits, too.
        """
        if not self._incoming.is_waiting:
            return await self._finish()
        task = asyncio.ensure_future(self._finish())
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)
        try:
            await asyncio.wait([task], timeout=CLOSE_SECONDS)
        except asyncio.CancelledError:
            self._incoming.hurry()
            await _until_done(task)
            raise

    async def _finish(self):
        try:
            await self._incoming.disconnect()
        finally:
            await self._replies.close(self._incoming.reply_channel)

    # From the client.

    async def _read(self):
        """Pass events on until the socket ends."""
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                self._is_over = True
                self._incoming.close_code = event.get("code") or ABNORMAL
                return
            if self._state is State.OPEN and not self._given_up:
                await self._incoming.receive(event)

    # To the client.

    def _deliver(self, reply):
        """Take a reply from the inbox. Called on this connection's loop."""
        if is_only_text(reply) and self._writer.is_idle and self._is_open():
            return self._writer.write_now(reply)
        kind = reply.get("type")
        if kind is not None and self._incoming.hear(kind, reply):
            return
        if not self._is_answered and kind != GAP_TYPE:
            self._is_answered = True
            self._incoming.note_answer()
        if self._given_up or self._state is State.CLOSED:
            return
        limit = self._limits["WEBSOCKET_PENDING_MESSAGES"]
        if limit is not None and len(self._writer) >= limit:
            self._give_up(TRY_AGAIN_LATER, "it does not read its messages")
        else:
            self._writer.add(reply)

    def _is_open(self):
        return self._state is State.OPEN and not self._is_over

    def _give_up(self, code, reason):
        """Drop what waits and have the socket closed."""
        if self._state in (State.CONNECTING, State.OPEN) and not self._given_up:
            self._given_up = True
            self._incoming.close_code = code
            logger.warning("Closing %s with %d: %s.", self._scope["path"], code, reason)
            self._writer.clear()
            self._writer.add({"close": code})
            if self._writer.is_running:
                self._set_timer(CLOSE_SECONDS, self._abandon)

    def _abandon(self):
        """End a write that the client has kept from ending."""
        self._abandoned = True
        self._writer.cancel()

    def _set_timer(self, seconds, callback):
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, callback)

    async def _write_until(self, reader):
        """Write replies until the socket ends, or has been closed long enough."""
        if seconds := self._limits["WEBSOCKET_HANDSHAKE_SECONDS"]:
            self._set_timer(seconds, self._expire)
        live = (State.CONNECTING, State.OPEN)
        try:
            await self._writer.run(
                self._write, lambda: self._state in live and not reader.done()
            )
        except Exception as error:
            if not says_gone(error):
                raise
            # The reader hears why.
            self._state = State.CLOSING
        except asyncio.CancelledError:
            if not self._abandoned:
                raise
            self._state = State.CLOSED
        finally:
            if self._timer is not None:
                self._timer.cancel()
        if self._state is State.CLOSING:
            await asyncio.wait([reader], timeout=CLOSE_SECONDS)
        if reader.done():
            reader.result()

    def _expire(self):
        if self._state is State.CONNECTING:
            self._give_up(POLICY_VIOLATION, "no consumer accepted it in time")

    async def _write(self, reply):
        """Act on one reply, by the decision table of the specification."""
        if self._state is State.OPEN and is_only_text(reply):
            return await self._send({"type": "websocket.send", **reply})
        if reply.get("type") == GAP_TYPE:
            return await self._tell_gap()
        error = reply_error(reply)
        if not error and self._state is State.CONNECTING:
            error = handshake_error(reply, self._handshake["subprotocols"])
        if error:
            logger.error("Ignored a reply to %s: %s", self._scope["path"], error)
            return
        has_data = reply.get("text") is not None or reply.get("bytes") is not None
        if self._state is State.CONNECTING:
            await self._decide(reply, has_data)
        if self._state is State.OPEN and has_data:
            await self._send(get_send_event(reply))
        if self._state is State.OPEN and reply.get("close"):
            await self._close(reply["close"])

    async def _decide(self, reply, has_data):
        accept = reply.get("accept")
        if accept or (accept is None and has_data):
            self._state = State.OPEN
            event = {"type": "websocket.accept"}
            if reply.get("subprotocol"):
                event["subprotocol"] = reply["subprotocol"]
            await self._send(event)
        elif accept is False or reply.get("close"):
            self._state = State.CLOSED
            code = reply.get("close")
            busy = code == TRY_AGAIN_LATER
            await self._refuse(503 if busy else 403, "Connection refused.")

    async def _tell_gap(self):
        """Tell the consumers that replies to the socket may have been lost."""
        if self._state is State.OPEN:
            await self._incoming.send("websocket.gap", {})

    async def _close(self, close):
        self._state = State.CLOSING
        self._writer.clear()
        code = NORMAL if close is True else close
        self._incoming.close_code = code
        await close_socket(self._send, code)

    async def _refuse(self, status, reason):
        self._state = State.CLOSED
        await refuse_handshake(self._send, self._scope, status, reason)


async def _until_done(task):
    """Wait for the end of a task, however often we are cancelled meanwhile."""
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([task])
