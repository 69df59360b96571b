"""
Static files as a consumer of http.request, for development.

In: http.request messages, by a route. Out: files below STATIC_URL, and the views'
responses for everything else.
"""

from urllib.parse import urlparse

from django.channels.handler import AsgiHandler, ViewConsumer
from django.contrib.staticfiles.handlers import StaticFilesHandlerMixin
from django.core.handlers.exception import convert_exception_to_response

__all__ = ["StaticFilesConsumer", "StaticFilesHandler"]


class StaticFilesHandler(StaticFilesHandlerMixin, AsgiHandler):
    """Turns http.request messages into static files, or responses of views."""

    def __init__(self):
        self.base_url = urlparse(self.get_base_url())
        super().__init__()

    def load_middleware(self, is_async=False):
        """Load the middleware: unlike others of its kind, it wraps no handler."""
        AsgiHandler.load_middleware(self, is_async)

    def get_response(self, request):
        """Return the response for a request, that of its file if it is for one."""
        if not self._should_handle(request.path):
            return AsgiHandler.get_response(self, request)
        # A path that leads elsewhere is suspicious, and the client's fault.
        response = convert_exception_to_response(super().get_response)(request)
        response._resource_closers.append(request.close)
        return response


class StaticFilesConsumer(ViewConsumer):
    """
    Serves the static files of all apps, and views, with ``runworker``.

    Like the view of django.contrib.staticfiles, it is for development: let
    another server serve static files where visitors come.
    """

    handler_class = StaticFilesHandler
