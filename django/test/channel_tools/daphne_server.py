"""
A live server by Daphne, on Twisted's reactor.

In: a socket that listens, from serving.py. Out: connections of an application. The
reactor runs once in a process, and then until its end, in a thread of its own.
"""

# It comes first, because importing it chooses the reactor.
from django.channels.daphne_server import (  # isort:skip
    DevelopmentServer,
    SocketProtocol,
    reactor,
)

import asyncio
import threading

from daphne.http_protocol import HTTPFactory
from daphne.ws_protocol import WebSocketFactory

from django.channels.limits import get_limits
from django.conf import settings

# Seconds that another thread waits for what it asks the reactor for, at the most.
ANSWER_SECONDS = 60

_lock = threading.Lock()


def start_reactor():
    """Have the reactor run in a daemon thread, unless it does already."""
    with _lock:
        if reactor.running:
            return
        started = threading.Event()
        reactor.callWhenRunning(started.set)
        threading.Thread(
            target=reactor.run,
            kwargs={"installSignalHandlers": False},
            name="channels-reactor",
            daemon=True,
        ).start()
        if not started.wait(ANSWER_SECONDS):
            raise RuntimeError("Twisted's reactor does not start in this process.")


def on_reactor(coroutine):
    """Return what a coroutine returns on the reactor's loop."""
    loop = reactor._asyncioEventloop
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result(ANSWER_SECONDS)


class _Server(DevelopmentServer):
    """A server among others on a reactor that goes on when it ends."""

    has_ended = False

    async def begin(self):
        """Listen."""
        self.connections = {}
        # Tests print no access log.
        self.action_logger = None
        self.http_factory = HTTPFactory(self)
        self.ws_factory = WebSocketFactory(self, server=self.server_name)
        self.ws_factory.setProtocolOptions(
            autoPingTimeout=self.ping_timeout, allowNullOrigin=True
        )
        self._listen()
        self.application_checker()

    async def end(self):
        """Close what is left, and listen no more."""
        self.has_ended = True
        await self._close_connections()
        for protocol in list(self.connections):
            if isinstance(protocol, SocketProtocol):
                protocol.dropConnection(abort=True)

    def application_checker(self):
        if not self.has_ended:
            super().application_checker()


class DaphneServer:
    """Serves an application for as long as a thread is in serve()."""

    def __init__(self):
        self._server = None
        self._stopped = threading.Event()

    def serve(self, application, listener, on_ready, on_end):
        """
        Serve until stop() is called.

        ``on_ready()`` is called before, and ``on_end()`` while replies can still
        be sent.
        """
        start_reactor()
        listener.setblocking(False)
        root_path = settings.FORCE_SCRIPT_NAME or ""
        self._server = _Server(application, listener, get_limits(), root_path, on_end)
        on_reactor(self._server.begin())
        on_ready()
        try:
            self._stopped.wait()
            on_end()
        finally:
            on_reactor(self._server.end())

    def end_connections(self):
        """Close the connections that there are, and wait for their ends."""
        on_reactor(self._server._end_connections())

    def stop(self):
        """Have serve() return."""
        self._stopped.set()
