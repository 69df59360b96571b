"""
One HTTP request: from a server's events to messages, and back.

In: http.request and http.disconnect events; response messages on the reply
channel. Out: http.request, http.request.body and http.disconnect messages;
http.response events. The messages are described in specs/protocols/http.rst.
"""

import asyncio
import contextlib
import logging

from django.channels.exceptions import (
    ChannelFull,
    LayerUnavailable,
    MessageTooLarge,
)
from django.channels.interface.dispatch import NO_ROOM, finish
from django.channels.interface.responses import ResponseWriter

# Bytes of a body in one message.
BODY_CHUNK_BYTES = 64 * 1024
# Chunks of a body that may be sent before the other side has read some.
BODY_WINDOW = 64
# Seconds between two tries to send to a channel that is full.
RETRY_INTERVAL_SECONDS = 0.05

_READER_ENDED = object()
_LATE = object()

logger = logging.getLogger("django.channels.interface")


class _ClientGone(Exception):
    """Raised when the client is found to have gone away."""


class _Refused(Exception):
    """Raised to answer a request with an error of the interface's own."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status
        self.reason = reason


class HttpConnection:
    """Serves one request."""

    def __init__(self, application, scope, receive, send):
        self._layer = application.layer
        self._replies = application.replies
        self._lane = application.dispatcher.open()
        self._limits = application.limits
        self._scope = scope
        self._headers = [[bytes(n).lower(), bytes(v)] for n, v in scope["headers"]]
        self._receive = receive
        self._response = ResponseWriter(send)
        # Of the body: what no message took yet, bytes so far, whether all came.
        self._buffer = bytearray()
        self._received = 0
        self._ended = False
        self._credit_channel = None
        self._credit = asyncio.Semaphore(BODY_WINDOW)
        # Replies, and _READER_ENDED and _LATE when they are true.
        self._inbox = asyncio.Queue()

    async def serve(self):
        """Answer the request, with an error of our own if need be."""
        self.reply_channel = await self._replies.open(self._inbox.put_nowait)
        try:
            await self._answer()
        except _ClientGone:
            pass
        except _Refused as refusal:
            self._lane.abandon()
            with contextlib.suppress(OSError):
                await self._response.refuse(refusal.status, refusal.reason)
        finally:
            await self._replies.close(self.reply_channel)

    async def _answer(self):
        self._check_headers()
        body = await self._read_chunk()
        message = self._get_message(body)
        if self._more_body:
            message["body_channel"] = await self._layer.anew_channel(
                "http.request.body?"
            )
        try:
            await self._lane.send("http.request", message)
        except NO_ROOM:
            raise _Refused(503, "Request queue full.")
        except MessageTooLarge:
            raise _Refused(431, "Request headers too large.")
        reader = asyncio.ensure_future(self._forward(message.get("body_channel")))
        reader.add_done_callback(lambda task: self._inbox.put_nowait(_READER_ENDED))
        try:
            await self._relay(reader)
        except _ClientGone:
            await self._disconnect()
            raise
        finally:
            await self._stop(reader, message.get("body_channel"))

    # From the client.

    def _check_headers(self):
        limit = self._limits["HTTP_HEADER_BYTES"]
        size = 0
        for name, value in self._headers:
            size += len(name) + len(value)
            if name == b"content-length" and value.isdigit():
                self._check_body_size(int(value))
        if limit is not None and size > limit:
            raise _Refused(431, f"Request headers exceed {limit} bytes.")

    def _check_body_size(self, size):
        limit = self._limits["HTTP_BODY_BYTES"]
        if limit is not None and size > limit:
            raise _Refused(413, f"Request body exceeds {limit} bytes.")

    async def _read_chunk(self):
        """Return the next part of the body, a full chunk unless it is the last."""
        while not self._ended and len(self._buffer) < BODY_CHUNK_BYTES:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                raise _ClientGone
            self._buffer += event.get("body", b"")
            self._received += len(event.get("body", b""))
            self._check_body_size(self._received)
            self._ended = not event.get("more_body", False)
        chunk = bytes(self._buffer[:BODY_CHUNK_BYTES])
        del self._buffer[:BODY_CHUNK_BYTES]
        return chunk

    @property
    def _more_body(self):
        return bool(self._buffer) or not self._ended

    async def _forward(self, body_channel):
        """Send the rest of the body, then wait until the client goes away."""
        while self._more_body:
            await self._credit.acquire()
            chunk = {"content": await self._read_chunk()}
            await self._send_body(body_channel, more_content=self._more_body, **chunk)
        while (await self._receive())["type"] != "http.disconnect":
            continue
        raise _ClientGone

    async def _send_body(self, body_channel, **content):
        message = {"type": "http.request.body", **content}
        while True:
            try:
                return await finish(self._layer.asend(body_channel, message))
            except ChannelFull:
                await asyncio.sleep(RETRY_INTERVAL_SECONDS)
            except LayerUnavailable:
                # It may have been stored: a second one would garble the body.
                raise _Refused(503, "Request queue not available.")

    async def _stop(self, reader, body_channel):
        reader.cancel()
        while not reader.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([reader])
        if body_channel and self._more_body:
            # Whoever still reads the body learns that nothing follows.
            closed = {"type": "http.request.body", "closed": True}
            with contextlib.suppress(*NO_ROOM):
                await finish(self._layer.asend(body_channel, closed))
        with contextlib.suppress(asyncio.CancelledError, _ClientGone, _Refused):
            reader.result()

    # To the client.

    async def _relay(self, reader):
        """Pass replies on until the response is complete."""
        loop = asyncio.get_running_loop()
        timer = None
        if seconds := self._limits["HTTP_RESPONSE_SECONDS"]:
            timer = loop.call_later(seconds, self._inbox.put_nowait, _LATE)
        try:
            while not self._response.complete:
                await self._take(await self._inbox.get(), reader)
        finally:
            if timer:
                timer.cancel()

    async def _take(self, reply, reader):
        if reply is _READER_ENDED:
            # It never returns: the client is gone, or the body is too large.
            reader.result()
        elif reply is _LATE:
            if not self._response.started:
                raise _Refused(
                    503, "Worker server failed to respond within time limit."
                )
        elif reply.get("type") == "http.request.credit":
            self._add_credit(reply.get("chunks"))
        else:
            await self._pass_on(reply)

    def _add_credit(self, chunks):
        if type(chunks) is not int or not 0 < chunks <= BODY_WINDOW:
            logger.error(
                "Ignored a credit for %s: chunks must be an int from 1 to %d, not %r.",
                self._scope["path"],
                BODY_WINDOW,
                chunks,
            )
            return
        for _ in range(chunks):
            self._credit.release()

    async def _pass_on(self, reply):
        try:
            await self._response.write(reply)
        except OSError:
            # So a server tells that the client is gone.
            raise _ClientGone
        except ValueError as error:
            logger.error("Invalid reply to %s: %s", self._scope["path"], error)
            raise _Refused(500, "Invalid response.")
        if credit_channel := reply.get("credit_channel"):
            self._credit_channel = credit_channel
        if self._credit_channel and not self._response.complete:
            await self._send_credit(chunks=1)

    async def _send_credit(self, **content):
        message = {"type": "http.response.credit", **content}
        with contextlib.suppress(*NO_ROOM):
            await self._layer.asend(self._credit_channel, message)

    async def _disconnect(self):
        """Tell the consumers that the client went before it was answered."""
        self._lane.abandon()
        if self._credit_channel:
            await self._send_credit(closed=True)
        message = {
            "type": "http.disconnect",
            "reply_channel": self.reply_channel,
            "path": self._scope["path"],
        }
        try:
            await self._lane.send("http.disconnect", message)
        except NO_ROOM:
            logger.warning("No room to tell that %s was aborted.", message["path"])

    def _get_message(self, body):
        scope = self._scope
        return {
            "type": "http.request",
            "reply_channel": self.reply_channel,
            "http_version": scope.get("http_version", "1.1"),
            "method": scope["method"],
            "scheme": scope.get("scheme", "http"),
            "path": scope["path"],
            "query_string": scope.get("query_string", b""),
            "root_path": scope.get("root_path", ""),
            "headers": self._headers,
            "body": body,
            "client": list(scope["client"]) if scope.get("client") else None,
            "server": list(scope["server"]) if scope.get("server") else None,
        }
