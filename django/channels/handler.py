"""
The consumer of http.request: Django's views.

In: http.request messages, and the rest of their bodies. Out: the messages of
the response, on the reply channel. See specs/protocols/http.rst.
"""

import asyncio
import logging
import tempfile
import time

from django.channels.exceptions import ChannelFull, RequestAborted, RequestTimeout
from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import (
    FileResponse,
    HttpResponse,
    HttpResponseBadRequest,
)
from django.urls import set_script_prefix
from django.utils.functional import cached_property

# Chunks of a body that may be on their way before the other side has read some.
BODY_WINDOW = 64
# Chunks of a request's body after which the sender is told that they were read.
CREDIT_BATCH = 16
# Seconds that a response waits for its client to read some of it.
CREDIT_SECONDS = 60
# Seconds between two tries to send to a reply channel that is full.
RETRY_INTERVAL_SECONDS = 0.02

logger = logging.getLogger("django.channels.handler")
request_logger = logging.getLogger("django.request")


class AsgiRequest(ASGIRequest):
    """
    The HttpRequest for an http.request message.

    ``body_receive_timeout`` is in seconds and holds for each part of a body.
    Raise RequestTimeout if one does not come in time, RequestAborted if the
    client goes away before.
    """

    def __init__(self, message):
        self.message = message
        self.reply_channel = message.reply_channel
        scope = {
            "type": "http",
            "root_path": message.get("root_path", ""),
            "query_string": message.get("query_string", b""),
            "headers": message.get("headers", []),
            "method": message["method"],
            "path": message["path"],
            "scheme": message.get("scheme"),
            "client": message.get("client"),
            "server": message.get("server"),
            "http_version": message.get("http_version", "1.1"),
        }
        body = tempfile.SpooledTemporaryFile(
            max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE, mode="w+b"
        )
        try:
            for part in self._read_parts(message):
                body.write(part)
            body.seek(0)
            super().__init__(scope, body)
        except BaseException:
            body.close()
            raise

    def _read_parts(self, message):
        yield message.get("body", b"")
        body_channel = message.get("body_channel")
        layer, unacknowledged = message.channel_layer, 0
        while body_channel:
            channel, part = layer.receive(
                [body_channel], block=True, timeout=self.body_receive_timeout
            )
            if channel is None:
                raise RequestTimeout(
                    f"No part of the body came for {self.body_receive_timeout} s."
                )
            if part.get("closed"):
                raise RequestAborted("The client went away within the body.")
            yield part.get("content", b"")
            if not part.get("more_content"):
                return
            unacknowledged += 1
            if unacknowledged == CREDIT_BATCH:
                credit = {"type": "http.request.credit", "chunks": unacknowledged}
                message.reply_channel.send(credit, immediately=True)
                unacknowledged = 0


class AsgiHandler(BaseHandler):
    """
    Turns http.request messages into the messages of a response.

    Calling it with a Message returns an iterator of dicts.
    """

    request_class = AsgiRequest
    # Bytes of a response in one message.
    chunk_size = 64 * 1024

    def __init__(self):
        super().__init__()
        self.load_middleware()

    def __call__(self, message):
        set_script_prefix(get_script_prefix(message.content))
        signals.request_started.send(sender=type(self), scope=message.content)
        try:
            response = self._answer(message)
        except BaseException as error:
            signals.request_finished.send(sender=type(self))
            if isinstance(error, RequestAborted):
                return
            raise
        try:
            yield from self.encode_response(response)
        finally:
            response.close()

    @classmethod
    def encode_response(cls, response):
        """Yield the messages for a response."""
        headers = [
            [name.encode("ascii"), value.encode("latin1")]
            for name, value in response.items()
        ]
        headers += [
            [b"Set-Cookie", cookie.output(header="").strip().encode("ascii")]
            for cookie in response.cookies.values()
        ]
        start = {"status": response.status_code, "headers": headers}
        if response.streaming:
            parts = _iterate(response) if response.is_async else iter(response)
            for part in parts:
                for chunk, _ in cls.chunk_bytes(bytes(part)):
                    yield {**start, "content": chunk, "more_content": True}
                    start = {}
            yield {**start, "content": b"", "more_content": False}
        else:
            for chunk, last in cls.chunk_bytes(response.content):
                yield {**start, "content": chunk, "more_content": not last}
                start = {}

    @classmethod
    def chunk_bytes(cls, data):
        """Yield (chunk, whether it is the last) for bytes, at least once."""
        for start in range(0, len(data) or 1, cls.chunk_size):
            end = start + cls.chunk_size
            yield data[start:end], end >= len(data)

    def _answer(self, message):
        try:
            request = self.request_class(message)
        except UnicodeDecodeError:
            request_logger.warning(
                "Bad Request (UnicodeDecodeError)",
                exc_info=True,
                extra={"status_code": 400},
            )
            response = HttpResponseBadRequest()
        except RequestTimeout as error:
            request_logger.warning(
                "Request Timeout: %s %s",
                message["path"],
                error,
                extra={"status_code": 408},
            )
            response = HttpResponse("408 Request Timeout", status=408)
        except RequestDataTooBig:
            response = HttpResponse("413 Payload too large", status=413)
        else:
            try:
                response = self.get_response(request)
            except BaseException:
                request.close()
                raise
            if isinstance(response, FileResponse):
                response.block_size = self.chunk_size
        response._handler_class = type(self)
        return response


class ViewConsumer:
    """
    Runs the view for each http.request message and sends its response.

    A response of many chunks waits for its client to have read some; when the
    client goes away, it is closed.
    """

    handler_class = AsgiHandler

    @cached_property
    def handler(self):
        """The handler, with its middleware loaded at the first request."""
        return self.handler_class()

    def __call__(self, message, **kwargs):
        replies = self.handler(message)
        flow = _Flow(message)
        try:
            for reply in replies:
                flow.send(reply)
        except RequestAborted as error:
            logger.debug("Stopped the response to %s: %s", message["path"], error)
        finally:
            replies.close()


class _Flow:
    """Sends a response no faster than its client reads it."""

    def __init__(self, message):
        self._layer = message.channel_layer
        self._reply_channel = message.reply_channel
        self._credit_channel = None
        self._credit = BODY_WINDOW

    def send(self, reply):
        """Send a message; raise RequestAborted if the client went away."""
        reply = {"type": "http.response", **reply}
        if reply["more_content"] and not self._credit_channel:
            self._credit_channel = self._layer.new_channel("http.response.credit?")
            reply["credit_channel"] = self._credit_channel
        self._await_credit()
        self._credit -= 1
        self._send_patiently(reply)

    def _await_credit(self):
        """Take what credit there is, and wait for some when there is none."""
        while self._credit_channel:
            wait = (
                {"block": True, "timeout": CREDIT_SECONDS} if self._credit <= 0 else {}
            )
            channel, message = self._layer.receive([self._credit_channel], **wait)
            if channel is not None and not message.get("closed"):
                self._credit += message["chunks"]
            elif channel is not None:
                raise RequestAborted("The client went away within the response.")
            elif self._credit <= 0:
                raise RequestAborted(f"The client read nothing for {CREDIT_SECONDS} s.")
            else:
                return

    def _send_patiently(self, reply):
        deadline = time.monotonic() + CREDIT_SECONDS
        while True:
            try:
                return self._reply_channel.send(reply, immediately=True)
            except ChannelFull:
                if time.monotonic() >= deadline:
                    raise RequestAborted(
                        f"The reply channel stayed full for {CREDIT_SECONDS} s."
                    )
            time.sleep(RETRY_INTERVAL_SECONDS)


def _iterate(response):
    """Yield the parts of an asynchronous response from synchronous code."""
    loop = asyncio.new_event_loop()
    parts = aiter(response)
    try:
        while True:
            try:
                yield loop.run_until_complete(anext(parts))
            except StopAsyncIteration:
                return
    finally:
        loop.run_until_complete(parts.aclose())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
