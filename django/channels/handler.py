"""
The consumer of http.request: Django's views.

In: http.request messages. Out: the messages of the response, on the reply channel.
See requests.py and responses.py for both ends, and specs/protocols/http.rst.
"""

import logging
from functools import wraps

from asgiref.sync import iscoroutinefunction

from django import urls
from django.channels.exceptions import RequestAborted, RequestTimeout, ResponseLater
from django.channels.outbox import current_outbox
from django.channels.requests import AsgiRequest
from django.channels.responses import ResponseFlow, iterate
from django.core import signals
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.asgi import get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import FileResponse, HttpResponse, HttpResponseBadRequest
from django.utils.functional import cached_property

__all__ = ["AsgiHandler", "AsgiRequest", "ViewConsumer"]

logger = logging.getLogger("django.channels.handler")
request_logger = logging.getLogger("django.request")


class LaterResponse(HttpResponse):
    """What middleware sees of a view that raised ResponseLater; it is not sent."""

    status_code = 202


class AsgiHandler(BaseHandler):
    """
    Turns http.request messages into the messages of a response.

    Calling it with a Message returns an iterator of dicts, which is empty if the
    view raised ResponseLater. ``flow``, a ResponseFlow, lets it stop waiting for
    a part of an asynchronous response when the client goes away.
    """

    request_class = AsgiRequest
    # Bytes of a response in one message.
    chunk_size = 64 * 1024

    def __init__(self):
        super().__init__()
        self.load_middleware()

    def __call__(self, message, flow=None):
        # Consumers of other messages run in this thread, too.
        before = urls.get_script_prefix()
        urls.set_script_prefix(get_script_prefix(message.content))
        try:
            yield from self._respond(message, flow)
        finally:
            urls.set_script_prefix(before)

    def _respond(self, message, flow):
        signals.request_started.send(sender=type(self), scope=message.content)
        try:
            response = self._answer(message)
        except BaseException as error:
            signals.request_finished.send(sender=type(self))
            if isinstance(error, RequestAborted):
                return
            raise
        try:
            if not isinstance(response, LaterResponse):
                self._release_outbox(response)
                yield from self.encode_response(response, flow)
        finally:
            response.close()

    @classmethod
    def encode_response(cls, response, flow=None):
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
            parts = iterate(response, flow) if response.is_async else iter(response)
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

    def make_view_atomic(self, view):
        # Within the transaction: a view that is answered later did not fail.
        return super().make_view_atomic(_answered_later(view))

    def process_exception_by_middleware(self, exception, request):
        # What a view sent goes the way of what it wrote in its transaction.
        if (outbox := current_outbox()) is not None:
            outbox.take()
        return super().process_exception_by_middleware(exception, request)

    def _release_outbox(self, response):
        """Have what the view sent not wait for a response of several messages."""
        is_one = not response.streaming and len(response.content) <= self.chunk_size
        if not is_one and (outbox := current_outbox()) is not None:
            outbox.release()

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


def _answered_later(view):
    """Return a view that returns a LaterResponse where it raised ResponseLater."""
    if iscoroutinefunction(view):

        @wraps(view)
        async def inner(request, *args, **kwargs):
            try:
                return await view(request, *args, **kwargs)
            except ResponseLater:
                return LaterResponse()

    else:

        @wraps(view)
        def inner(request, *args, **kwargs):
            try:
                return view(request, *args, **kwargs)
            except ResponseLater:
                return LaterResponse()

    return inner


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
        flow = ResponseFlow(message)
        replies = self.handler(message, flow)
        try:
            for reply in replies:
                flow.send(reply)
        except RequestAborted as error:
            logger.debug("Stopped the response to %s: %s", message["path"], error)
        finally:
            replies.close()
            flow.close()
