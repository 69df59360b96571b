"""
The ASGI 3 application that stands between a server and the consumers.

In: scopes, and the events of their connections, from any ASGI 3 server.
Out: one HttpConnection or WebSocketConnection for each, which send messages
through a dispatcher and get replies through a ReplyInbox.
"""

import asyncio
import atexit

from django.channels.freezing import freeze_start
from django.channels.interface.dispatch import LayerDispatcher, UnreachableDispatcher
from django.channels.interface.http import HttpConnection
from django.channels.interface.line import Lines
from django.channels.interface.replies import ReplyInbox
from django.channels.interface.websocket import WebSocketConnection
from django.channels.limits import get_limits


class Application:
    """
    Serves HTTP and WebSocket connections by sending messages.

    ``dispatcher`` opens a lane for each connection; ``http``, an ASGI 3
    application, serves HTTP in its place if given. ``limits`` are overrides of
    CHANNEL_LIMITS. Calling it raises ValueError for any other type of scope.
    """

    def __init__(self, channel_layer, dispatcher, http=None, limits=None):
        self.layer = channel_layer
        self.dispatcher = dispatcher
        self.replies = ReplyInbox(channel_layer)
        self.requests = Lines(dispatcher, "http.request")
        # Sockets wait with one message each, however many there are.
        self.frames = {
            channel: Lines(dispatcher, channel, limit=None)
            for channel in ("websocket.connect", "websocket.receive")
        }
        self.open_sockets = set()
        # What tells of the ends of sockets, in tasks that outlive their servers' call.
        self.lingering = set()
        self._http = http
        self._overrides = limits or {}

    @property
    def limits(self):
        """The limits in force: see django.channels.limits."""
        return get_limits(**self._overrides)

    def start(self):
        """Do nothing: what consumes is not the application's."""

    def stop(self, timeout):
        """Return True: there is nothing to wait for."""
        return True

    async def __call__(self, scope, receive, send):
        """Serve one connection."""
        if scope["type"] == "websocket":
            await WebSocketConnection(self, scope, receive, send).serve()
        elif scope["type"] == "http" and self._http is not None:
            await self._http(scope, receive, send)
        elif scope["type"] == "http":
            await HttpConnection(self, scope, receive, send).serve()
        elif scope["type"] == "lifespan":
            await serve_lifespan(receive, send, self.leave_sockets)
        else:
            raise ValueError(
                f"django.channels can only handle HTTP and WebSocket connections, "
                f"not {scope['type']}."
            )

    def leave_sockets(self):
        """
        Tell the consumers of every socket that is left that it ended.

        For the end of the process: not every server ends its applications.
        """
        for connection in list(self.open_sockets):
            connection.leave_behind()


async def serve_lifespan(receive, send, leave):
    """
    Answer what a server tells of its start and its end.

    At its end, ``leave()`` is called in a thread: not every server that says so
    ends its applications, or lets atexit run.
    """
    while (await receive())["type"] != "lifespan.shutdown":
        freeze_start()
        await send({"type": "lifespan.startup.complete"})
    await asyncio.get_running_loop().run_in_executor(None, leave)
    await send({"type": "lifespan.shutdown.complete"})


def get_bus_application(channel_layer, limits=None):
    """
    Return the Application that puts everything onto a layer, for workers.

    If the layer does not span processes, it refuses every connection.
    """
    spans = channel_layer.spans_processes
    dispatcher = LayerDispatcher if spans else UnreachableDispatcher
    application = Application(channel_layer, dispatcher(channel_layer), limits=limits)
    atexit.register(application.leave_sockets)
    return application
