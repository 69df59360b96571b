"""
One HTTP request of a WSGI server: onto the layer, and back.

In: the environ of a request; response messages on the reply channel. Out:
http.request, http.request.body and http.disconnect messages; what a WSGI
application returns. The messages are described in specs/protocols/http.rst.
"""

import contextlib
import logging
import math
import queue
import threading
import time
from collections import deque

from django.channels.backoff import FIRST_RETRY_SECONDS, Backoff
from django.channels.exceptions import (
    ChannelFull,
    LayerUnavailable,
    MessageTooLarge,
    RequestTimeout,
)
from django.channels.interface.bodies import (
    BODY_WINDOW,
    ClientGone,
    Refused,
    is_credit,
)
from django.channels.interface.dispatch import NO_ROOM
from django.channels.interface.http import LEFTOVER_SECONDS
from django.channels.interface.outages import Outages
from django.channels.interface.replies import ReplyInbox
from django.channels.interface.responses import check_reply, may_have_content
from django.channels.interface.wsgi_input import WsgiBody, get_message
from django.channels.interface.wsgi_output import Parts, status_line
from django.channels.limits import get_limits

# Seconds between two tries to send to a channel that is full, at the most.
LAST_RETRY_SECONDS = 0.01
# How often a request that is not next looks whether there is any progress.
TURN_SECONDS = 0.1

logger = logging.getLogger("django.channels.interface")


class WsgiApplication:
    """
    The WSGI application that puts every request onto a layer, for workers.

    It is safe in threads, and in processes that the server forks. ``limits`` are
    overrides of CHANNEL_LIMITS.
    """

    def __init__(self, channel_layer, limits=None):
        self.layer = channel_layer
        self.replies = ReplyInbox(channel_layer)
        # Held by the request that is next when there is no room.
        self.turn = threading.Lock()
        # When one was sent the last time.
        self.moved = 0
        self.outages = Outages()
        # (when, name) of reply channels that somebody may still answer on.
        self._leftovers = deque()
        self._overrides = limits or {}

    def __call__(self, environ, start_response):
        """Serve one request."""
        self._close_leftovers()
        limits = get_limits(**self._overrides)
        return WsgiConnection(self, limits, environ).serve(start_response)

    def leave(self, name, seconds):
        """Tell whoever answers on a reply channel later that nobody reads it."""

        def take(reply):
            credit_channel = reply.get("credit_channel")
            if reply.get("type") != "http.request.credit" and credit_channel:
                closed = {"type": "http.response.credit", "closed": True}
                self.layer.send(credit_channel, closed)

        self.replies.redirect(name, take)
        self._leftovers.append((time.monotonic() + seconds, name))

    def _close_leftovers(self):
        while self._leftovers and self._leftovers[0][0] <= time.monotonic():
            # IndexError: another thread was faster.
            with contextlib.suppress(IndexError):
                self.replies.close_now(self._leftovers.popleft()[1])


class WsgiConnection:
    """Serves one request, in the thread of the server that has it."""

    def __init__(self, application, limits, environ):
        self._application = application
        self._layer = application.layer
        self._limits = limits
        self._environ = environ
        self._method = environ["REQUEST_METHOD"]
        self._arrivals = queue.SimpleQueue()
        self._is_sent = False
        self._is_complete = False
        self._credit_channel = None

    def serve(self, start_response):
        """Return the body of the response, once its head is known."""
        self.reply_channel = self._application.replies.open_now(self._arrivals.put)
        try:
            first = self._answer()
            headers = [
                (name.decode("latin1"), value.decode("latin1"))
                for name, value in first.get("headers", [])
            ]
            start_response(status_line(first["status"]), headers)
        except Refused as refusal:
            self.close()
            return self._refuse(refusal, start_response)
        except BaseException:
            self.close()
            raise
        if first.get("more_content"):
            return Parts(self, first)
        self.close()
        return [first.get("content", b"")]

    def next_part(self):
        """
        Return the next response message.

        Raise RequestTimeout if none comes in time, ValueError if it is none.
        """
        reply = self._await_reply("A part of the response did not come")
        self._check(reply, is_first=False)
        return reply

    def send_credit(self, **content):
        """Tell the consumer how many messages were passed on, or that it ends."""
        if self._credit_channel is not None:
            message = {"type": "http.response.credit", **content}
            with contextlib.suppress(*NO_ROOM):
                self._layer.send(self._credit_channel, message)

    def close(self):
        """Tell whoever is concerned that nothing is read any more."""
        if self.reply_channel is None:
            return
        name, self.reply_channel = self.reply_channel, None
        if self._is_sent and not self._is_complete:
            self.send_credit(closed=True)
            self._disconnect(name)
        if self._is_sent and not (self._is_complete or self._credit_channel):
            seconds = self._limits["HTTP_RESPONSE_SECONDS"] or LEFTOVER_SECONDS
            self._application.leave(name, seconds)
        else:
            with contextlib.suppress(LayerUnavailable):
                self._application.replies.close_now(name)

    # The request.

    def _answer(self):
        """Return the first message of the response."""
        body = WsgiBody(self._environ, self._limits["HTTP_BODY_BYTES"])
        message = get_message(self._environ, self.reply_channel)
        self._check_headers(message["headers"])
        try:
            message["body"] = body.read_chunk()
            if body.has_more:
                message["body_channel"] = self._layer.new_channel("http.request.body?")
            self._send_request(message)
            reply = self._forward(body, message.get("body_channel"))
        except ClientGone:
            raise Refused(400, "Request body is incomplete.")
        while reply is None or reply.get("type") == "http.request.credit":
            reply = self._await_reply()
        self._check(reply, is_first=True)
        return reply

    def _check_headers(self, headers):
        limit = self._limits["HTTP_HEADER_BYTES"]
        size = sum(len(name) + len(value) for name, value in headers)
        if limit is not None and size > limit:
            raise Refused(431, f"Request headers exceed {limit} bytes.")

    def _send_request(self, message):
        seconds = self._limits["HTTP_QUEUE_SECONDS"] or math.inf
        application, entered = self._application, time.monotonic()
        while not application.turn.acquire(timeout=TURN_SECONDS):
            self._check_queue(entered, seconds)
        pauses = Backoff(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS)
        try:
            while not self._try_to_send(message):
                self._check_queue(entered, seconds)
                time.sleep(pauses.next())
            application.moved = time.monotonic()
        finally:
            application.turn.release()

    def _check_queue(self, entered, seconds):
        """Raise Refused if nobody found room for so many seconds."""
        if time.monotonic() - max(entered, self._application.moved) >= seconds:
            raise Refused(503, "Request queue full.")

    def _try_to_send(self, message):
        try:
            self._layer.send("http.request", message)
        except ChannelFull:
            return False
        except LayerUnavailable as error:
            self._application.outages.note("http.request", error)
            raise Refused(503, "Request queue not available.")
        except MessageTooLarge:
            raise Refused(431, "Request headers too large.")
        self._is_sent = True
        return True

    def _forward(self, body, channel):
        """Send the rest of the body; return a reply that came meanwhile, or None."""
        credit = BODY_WINDOW
        try:
            while body.has_more:
                while credit <= 0 or not self._arrivals.empty():
                    reply = self._await_reply()
                    if reply.get("type") != "http.request.credit":
                        return reply
                    if is_credit(reply.get("chunks"), self._environ.get("PATH_INFO")):
                        credit += reply["chunks"]
                chunk = body.read_chunk()
                self._send_part(channel, content=chunk, more_content=body.has_more)
                credit -= 1
        finally:
            if body.has_more:
                with contextlib.suppress(*NO_ROOM):
                    self._send_part(channel, closed=True)
        return None

    def _send_part(self, channel, **content):
        pauses = Backoff(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS)
        while True:
            try:
                message = {"type": "http.request.body", **content}
                return self._layer.send(channel, message)
            except ChannelFull:
                time.sleep(pauses.next())
            except LayerUnavailable:
                raise Refused(503, "Request queue not available.")

    # The response.

    def _await_reply(self, late=None):
        seconds = self._limits["HTTP_RESPONSE_SECONDS"]
        try:
            return self._arrivals.get(timeout=seconds)
        except queue.Empty:
            if late:
                raise RequestTimeout(f"{late} within {seconds} s.")
            raise Refused.unanswered(self._environ.get("PATH_INFO"), seconds)

    def _check(self, reply, is_first):
        try:
            check_reply(reply, is_first)
        except ValueError as error:
            path = self._environ.get("PATH_INFO")
            logger.error("Invalid reply to %s: %s", path, error)
            if is_first:
                raise Refused(500, "Invalid response.")
            raise
        if is_first:
            self._has_content = may_have_content(self._method, reply["status"])
        if not self._has_content:
            reply["content"] = b""
        self._credit_channel = reply.get("credit_channel") or self._credit_channel
        self._is_complete = not reply.get("more_content", False)

    def _refuse(self, refusal, start_response):
        body = f"{refusal.reason}\n".encode()
        headers = [("Content-Type", "text/plain; charset=utf-8")]
        headers.append(("Content-Length", str(len(body))))
        start_response(status_line(refusal.status), headers)
        return [body if may_have_content(self._method, refusal.status) else b""]

    def _disconnect(self, name):
        path = self._environ.get("PATH_INFO", "")
        message = {"type": "http.disconnect", "reply_channel": name, "path": path}
        try:
            self._layer.send("http.disconnect", message)
        except NO_ROOM:
            logger.warning("No room to tell that %s was aborted.", path)
