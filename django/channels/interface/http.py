"""
One HTTP request: from a server's events to messages, and back.

In: http.request and http.disconnect events; response messages on the reply
channel. Out: http.request, http.request.body and http.disconnect messages;
http.response events. The messages are described in specs/protocols/http.rst.
"""

import asyncio
import contextlib
import logging
import math

from django.channels.exceptions import (
    ChannelFull,
    LayerUnavailable,
    MessageTooLarge,
)
from django.channels.interface.arrivals import Arrivals
from django.channels.interface.bodies import ClientGone, Progress, Refused, RequestBody
from django.channels.interface.dispatch import NO_ROOM, finish
from django.channels.interface.leftovers import Leftover
from django.channels.interface.line import Place
from django.channels.interface.responses import ResponseWriter

# Messages of a response after which its sender is told that they were passed on.
CREDIT_BATCH = 16

# Seconds that an answer is expected which nobody waits for, if no limit says it.
LEFTOVER_SECONDS = 60

# What comes beside replies: the client's side ended, or the time is over.
_READ, _LATE = object(), object()

logger = logging.getLogger("django.channels.interface")


class HttpConnection:
    """Serves one request."""

    def __init__(self, application, scope, receive, send):
        self._layer = application.layer
        self._replies = application.replies
        self._requests = application.requests
        self._lane = application.dispatcher.open()
        self._limits = application.limits
        self._scope = scope
        self._headers = [[bytes(n).lower(), bytes(v)] for n, v in scope["headers"]]
        self._receive = receive
        self._response = ResponseWriter(send, scope["method"])
        self._progress = Progress()
        self._body = RequestBody(
            self._layer, receive, self._limits["HTTP_BODY_BYTES"], self._progress
        )
        # Replies, _READ and _LATE.
        self._arrivals = Arrivals()
        # The task that reads what the client sends after the request.
        self._reader = None
        # Where the request stands in the line, once it does.
        self._place = None
        # Has the last message of the response come? How many were passed on?
        self._last_came = False
        self._credit = 0

    async def serve(self):
        """Answer the request, with an error of our own if need be."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        # Whether the timer, and nobody else, cancelled the task.
        self._is_late = False
        self.reply_channel = await self._replies.open(self._deliver)
        self._start_timer()
        try:
            await self._answer()
        except ClientGone:
            pass
        except Refused as refusal:
            self._lane.abandon()
            with contextlib.suppress(OSError):
                await self._response.refuse(refusal.status, refusal.reason)
        finally:
            if self._timer is not None:
                self._timer.cancel()
            await self._leave()

    async def _answer(self):
        self._check_headers()
        message = self._get_message(await self._read_first())
        if self._body.has_more:
            message["body_channel"] = await self._body.open_channel()
        place = self._place = Place(
            self._lane,
            message,
            self._limits["HTTP_QUEUE_SECONDS"] or math.inf,
            self._limits["HTTP_RESPONSE_SECONDS"] or math.inf,
        )
        try:
            await self._requests.here().send(place)
            self._progress.note()
            self._start_reader()
            while not self._response.complete:
                await self._take(await self._arrivals.get())
        except ChannelFull:
            raise Refused(503, "Request queue full.")
        except LayerUnavailable:
            raise Refused(503, "Request queue not available.")
        except MessageTooLarge:
            raise Refused(431, "Request headers too large.")
        except BaseException:
            # Whatever it is, as an answer that the server cannot send.
            if place.is_sent:
                await finish(self._disconnect())
            raise
        finally:
            await self._stop_reader()

    # From the client.

    def _check_headers(self):
        limit = self._limits["HTTP_HEADER_BYTES"]
        size = 0
        for name, value in self._headers:
            size += len(name) + len(value)
            if name == b"content-length" and value.isdigit():
                # An int takes no more than 4,300 digits.
                self._body.check_size(float(value))
        if limit is not None and size > limit:
            raise Refused(431, f"Request headers exceed {limit} bytes.")

    async def _read_first(self):
        """Return the part of the body that is in the request."""
        try:
            return await self._body.read_chunk()
        except asyncio.CancelledError:
            if not self._is_late:
                raise
            # Python 3.10 counts no cancellations.
            getattr(self._task, "uncancel", int)()
            raise Refused(408, "Request body did not arrive in time.")

    def _start_reader(self):
        """Read on: the rest of the body, or the news that the client is gone."""
        reading = self._forward() if self._body.has_more else self._receive()
        self._reader = asyncio.ensure_future(reading)
        self._reader.add_done_callback(self._note_read)
        self._reader.add_done_callback(_retrieve)

    async def _forward(self):
        await self._body.forward()
        return await self._receive()

    async def _stop_reader(self):
        reader, self._reader = self._reader, None
        if reader is None:
            return
        reader.remove_done_callback(self._note_read)
        reader.cancel()
        if self._body.has_more:
            # What it was sending comes before what says that nothing follows.
            while not reader.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([reader])
            await self._body.close()

    def _note_read(self, reader):
        self._arrivals.put(_READ)

    def _read_on(self):
        """Act on what ended the reading of the client's side."""
        # In no variable: what it raised would keep it, and with it the request.
        if self._reader.cancelled():
            return
        if self._reader.result()["type"] == "http.disconnect":
            raise ClientGone
        self._start_reader()

    # Time.

    def _start_timer(self):
        """Give the client, and then the consumer, their time."""
        self._timer = None
        seconds = self._limits["HTTP_RESPONSE_SECONDS"]
        self._progress.note()
        if seconds:
            self._timer = self._loop.call_later(seconds, self._expire)

    def _expire(self):
        due = self._progress.last + self._limits["HTTP_RESPONSE_SECONDS"]
        if due > self._loop.time():
            self._timer = self._loop.call_at(due, self._expire)
        elif self._reader is not None:
            self._arrivals.put(_LATE)
        elif self._body.is_awaited:
            self._is_late = True
            self._task.cancel()
        else:
            # It stands in the line, which has a time limit of its own.
            self._start_timer()

    # To the client.

    def _deliver(self, reply):
        """Take a reply from the inbox."""
        is_credit = reply.get("type") == "http.request.credit"
        if not is_credit and not reply.get("more_content"):
            self._last_came = True
        self._arrivals.put(reply)

    async def _take(self, item):
        if type(item) is dict:
            if item.get("type") == "http.request.credit":
                self._body.add_credit(item.get("chunks"), self._scope["path"])
            else:
                await self._pass_on(item)
        elif item is not _LATE:
            self._read_on()
        elif not self._response.started:
            if self._body.is_awaited:
                raise Refused(408, "Request body did not arrive in time.")
            seconds = self._limits["HTTP_RESPONSE_SECONDS"]
            raise Refused.unanswered(self._scope["path"], seconds)

    async def _pass_on(self, reply):
        try:
            await self._response.write(reply)
        except OSError:
            # So a server tells that the client is gone.
            raise ClientGone
        except ValueError as error:
            logger.error("Invalid reply to %s: %s", self._scope["path"], error)
            raise Refused(500, "Invalid response.")
        if self._response.credit_channel is not None:
            self._credit += 1
            if self._credit >= CREDIT_BATCH and not self._last_came:
                await self._send_credit(chunks=self._credit)
                self._credit = 0

    async def _send_credit(self, **content):
        message = {"type": "http.response.credit", **content}
        with contextlib.suppress(*NO_ROOM):
            await self._layer.asend(self._response.credit_channel, message)

    # The end.

    async def _close_credit(self):
        """Tell who sends the response that nobody reads it."""
        if self._response.credit_channel is not None:
            await self._send_credit(closed=True)

    async def _disconnect(self):
        """Tell the consumers that nobody reads their answer."""
        self._lane.abandon()
        await self._close_credit()
        message = {
            "type": "http.disconnect",
            "reply_channel": self.reply_channel,
            "path": self._scope["path"],
        }
        try:
            await self._lane.send("http.disconnect", message)
        except NO_ROOM:
            logger.warning("No room to tell that %s was aborted.", message["path"])

    async def _leave(self):
        """Close the reply channel, at once unless somebody is still to answer."""
        is_answered = self._last_came or self._response.credit_channel is not None
        if self._place is not None and self._place.is_sent and not is_answered:
            seconds = self._limits["HTTP_RESPONSE_SECONDS"] or LEFTOVER_SECONDS
            Leftover(self._replies, self._layer, self.reply_channel, seconds)
        else:
            await self._replies.close(self.reply_channel)

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


def _retrieve(task):
    """Keep asyncio from reporting what nobody is interested in any more."""
    if not task.cancelled():
        task.exception()
