"""
What a project's asgi.py imports: the two ways to put it behind a server.

``application = get_application()`` runs consumers in the server's process.
``channel_layer = get_channel_layer()`` only forwards: what a server receives
goes onto the layer, and workers elsewhere answer.
"""

import atexit
import os
import threading
import time
from functools import partial

import django
from django.channels.exceptions import InvalidChannelLayerError
from django.channels.interface.application import (
    Application,
    get_bus_application,
    serve_lifespan,
)
from django.channels.interface.lanes import LaneDispatcher
from django.channels.layers import (
    DEFAULT_CHANNEL_LAYER,
    ChannelLayerManager,
    ChannelLayerWrapper,
    channel_layers,
)
from django.channels.limits import get_limits
from django.channels.worker import Worker, WorkerGroup
from django.channels.worker.lanes import LaneWorker
from django.channels.worker.sender import Sender
from django.core.asgi import get_asgi_application

__all__ = [
    "ChannelLayerManager",
    "ChannelLayerWrapper",
    "InProcessApplication",
    "InvalidChannelLayerError",
    "channel_layers",
    "get_application",
    "get_channel_layer",
    "get_development_application",
    "websocket_application",
]

# Threads of the process that run the consumers of its connections.
CONSUMER_THREADS = 4
# Seconds that consumers have to finish when the process ends.
EXIT_SECONDS = 5.0


def get_channel_layer(alias=DEFAULT_CHANNEL_LAYER):
    """
    Return a layer of CHANNEL_LAYERS, which is also an ASGI 3 application.

    As an application, it puts every connection onto the layer, for workers.
    Raise InvalidChannelLayerError if there is no such layer.
    """
    django.setup(set_prefix=False)
    return channel_layers[alias]


def get_application():
    """
    Return an ASGI 3 application that serves HTTP and WebSocket in its process.

    Raise InvalidChannelLayerError if there is no default layer.
    """
    return InProcessApplication(http=get_asgi_application())


def get_development_application(
    layer_alias=DEFAULT_CHANNEL_LAYER,
    threads=CONSUMER_THREADS,
    limits=None,
    workers=True,
):
    """
    Return the ASGI 3 application that runserver serves, HTTP included.

    Without ``workers`` it only forwards to the layer. ``limits`` are overrides
    of CHANNEL_LIMITS.
    """
    if workers:
        return InProcessApplication(layer_alias, threads, limits=limits)
    return get_bus_application(channel_layers[layer_alias], limits=limits)


async def websocket_application(scope, receive, send):
    """
    Serve a socket that came to Django's own ASGI handler.
    """
    await _get_in_process_application()(scope, receive, send)


class InProcessApplication:
    """
    Serves connections with consumers that run in threads of this process.

    On a layer that only this process sees, the threads also take the messages
    that consumers and views send to named channels. Nothing starts before the
    first connection. See Application for ``http`` and ``limits``.
    """

    # What has consumers run: for the lanes of connections, and for named channels.
    lane_worker_class = LaneWorker
    worker_class = Worker

    def __init__(
        self, alias=DEFAULT_CHANNEL_LAYER, threads=CONSUMER_THREADS, **options
    ):
        self.layer = channel_layers[alias]
        self.threads = threads
        self._options = options
        self._lock = threading.Lock()
        self._pid = None

    async def __call__(self, scope, receive, send):
        """Serve one connection."""
        if scope["type"] == "lifespan":
            return await serve_lifespan(receive, send, partial(self.stop, EXIT_SECONDS))
        self.start()
        await self._application(scope, receive, send)

    def start(self):
        """Start the threads, unless they run in this process already."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid != os.getpid():
                self._start()
                self._pid = os.getpid()

    def stop(self, timeout):
        """
        Let consumers finish what waits, for ``timeout`` seconds at the most.

        Return whether they did. The next connection starts the threads again.
        """
        atexit.unregister(self.stop)
        if self._pid != os.getpid():
            return True
        self._pid = None
        deadline = time.monotonic() + timeout
        self._application.leave_sockets()
        done = self._lanes.stop(timeout)
        for part in (self._workers, self._worker.coroutines, self._worker.sender):
            if part is not None:
                done &= part.stop(max(0, deadline - time.monotonic()))
        return done

    def _start(self):
        # For servers that just end: their consumers may run until then.
        atexit.register(self.stop, EXIT_SECONDS)
        limits = get_limits(**(self._options.get("limits") or {}))
        self._worker = self.lane_worker_class(self.layer)
        if self.layer.spans_processes:
            self._worker.sender = Sender()
        self._lanes = LaneDispatcher(
            self._worker.begin,
            self.layer.get_capacity,
            self.threads,
            limits["WEBSOCKET_PENDING_MESSAGES"],
        )
        self._application = Application(self.layer, self._lanes, **self._options)
        self._workers = None
        if self.layer.local_only():
            self._workers = WorkerGroup(
                self.layer, self.threads, worker_class=self.worker_class
            )
            self._workers.start()


_application_lock = threading.Lock()
_application = None


def _get_in_process_application():
    """Return the one that serves the sockets of Django's handler."""
    global _application
    with _application_lock:
        layer = channel_layers[DEFAULT_CHANNEL_LAYER]
        if _application is None or _application.layer is not layer:
            if _application is not None:
                # Its layer was closed, as when a test changes the settings.
                _application.stop(0)
            _application = InProcessApplication()
        return _application
