"""
The HttpRequest of an http.request message.

In: the message, and the rest of its body from a channel of its own. Out: the
request, for handler.py; credit for the body. See specs/protocols/http.rst.
"""

import contextlib
import io
import tempfile

from django.channels.exceptions import (
    LayerUnavailable,
    RequestAborted,
    RequestTimeout,
    ResponseLater,
)
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import parse_cookie
from django.utils.functional import cached_property

# Parts of a body after which the sender is told that they were read.
CREDIT_BATCH = 16


class AsgiRequest(ASGIRequest):
    """
    The HttpRequest for an http.request message.

    ``body_receive_timeout`` is in seconds and holds for each part of a body.
    Raise RequestTimeout if one does not come in time, RequestAborted if the
    client goes away before.
    """

    ResponseLater = ResponseLater
    RequestTimeout = RequestTimeout
    RequestAborted = RequestAborted

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
        body = self._read_body(message)
        try:
            super().__init__(scope, body)
        except BaseException:
            body.close()
            raise

    @cached_property
    def COOKIES(self):
        # UTF-8, as browsers send it and WSGI reads it; upstream's takes it for Latin-1.
        header = self.META.get("HTTP_COOKIE", "").encode("latin1")
        return parse_cookie(header.decode(errors="replace"))

    def _read_body(self, message):
        """Return a file with the whole body, in memory or else on disk."""
        first = message.get("body", b"")
        if not message.get("body_channel"):
            return io.BytesIO(first)
        body = tempfile.SpooledTemporaryFile(
            max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE, mode="w+b"
        )
        try:
            body.write(first)
            for part in self._read_parts(message):
                body.write(part)
            body.seek(0)
        except BaseException:
            body.close()
            raise
        return body

    def _read_parts(self, message):
        """Yield the parts that come on the body's own channel."""
        layer, channel = message.channel_layer, message["body_channel"]
        unacknowledged = 0
        try:
            while True:
                for part in self._receive_parts(layer, channel):
                    yield part.get("content", b"")
                    if not part.get("more_content"):
                        return
                    unacknowledged += 1
                if unacknowledged >= CREDIT_BATCH:
                    credit = {"type": "http.request.credit", "chunks": unacknowledged}
                    message.reply_channel.send(credit, immediately=True)
                    unacknowledged = 0
        except (RequestTimeout, RequestAborted):
            # What came too late is nobody's.
            with contextlib.suppress(LayerUnavailable):
                layer.close_channel(channel)
            raise

    def _receive_parts(self, layer, channel):
        parts = layer.receive_batch(
            [channel], CREDIT_BATCH, block=True, timeout=self.body_receive_timeout
        )
        if not parts:
            raise RequestTimeout(
                f"No part of the body came for {self.body_receive_timeout} s."
            )
        for _, part in parts:
            if part.get("closed"):
                raise RequestAborted("The client went away within the body.")
            yield part
