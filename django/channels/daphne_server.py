"""
The server of runserver: Daphne, with an orderly end.

In: a listening socket and an ASGI application from runserver.py.
Out: the application's connections, and a line in the log for each.

It is imported only where Daphne is installed: importing it installs Twisted's
reactor.
"""

# Daphne's server module comes first, because it chooses the reactor.
from daphne.server import Server, reactor  # isort:skip

import asyncio
import concurrent.futures
import logging
import math
import threading
import time

from daphne.ws_protocol import WebSocketProtocol

# Seconds for everything between the notice of Ctrl-C and the end of the loop.
STOP_SECONDS = 0.8

# Seconds until the main thread notices a signal, whichever thread got it.
SIGNAL_SECONDS = 0.3

# Seconds, of STOP_SECONDS, in which connections must notice that they are closed.
CLOSE_SECONDS = 0.4

# Seconds in which what is left on the loop must notice its cancellation.
CANCEL_SECONDS = 0.1

# The close code of a server that goes away.
GOING_AWAY = 1001

# Bytes of a request's body that the application is given at a time.
BODY_CHUNK_BYTES = 64 * 1024

# What a client that takes the server for an HTTPS one begins with.
TLS_HANDSHAKE = b"\x16\x03"

# What a socket event is logged as, and the status that chooses level and color.
SOCKET_EVENTS = {
    "connecting": ("HANDSHAKING", None),
    "connected": ("CONNECT", 101),
    "rejected": ("REJECT", 403),
    "disconnected": ("DISCONNECT", None),
}

logger = logging.getLogger("django.server")


class SocketProtocol(WebSocketProtocol):
    """A WebSocket that can be closed with the codes that only servers use."""

    def serverClose(self, code=None):
        # Autobahn's own sendClose() refuses most codes under 3000.
        self.sendCloseFrame(code=1000 if code is None else code)

    def go_away(self):
        """Close the socket, and tell the application without the client's answer."""
        if self.state == self.STATE_OPEN:
            self.serverClose(GOING_AWAY)
        if not self.muted and hasattr(self, "application_queue"):
            self.muted = True
            event = {"type": "websocket.disconnect", "code": GOING_AWAY}
            self.application_queue.put_nowait(event)


class DevelopmentServer(Server):
    """
    Serves an application on one listening socket.

    ``stop_application(seconds)`` is called before the loop ends; it lets
    consumers finish. What CHANNEL_LIMITS counts in time is the application's.
    """

    def __init__(self, application, listener, limits, root_path, stop_application):
        super().__init__(
            application,
            # Server ends the process if it is given none.
            endpoints=["the listener"],
            signal_handlers=False,
            action_logger=log_action,
            request_buffer_size=BODY_CHUNK_BYTES,
            websocket_timeout=-1,
            websocket_connect_timeout=math.inf,
            websocket_handshake_timeout=0,
            websocket_max_message_size=limits["WEBSOCKET_MESSAGE_BYTES"] or 0,
            websocket_max_frame_size=limits["WEBSOCKET_FRAME_BYTES"] or 0,
            root_path=root_path,
            ready_callable=self._listen,
        )
        self.endpoints = []
        self._listener = listener
        self._stop_application = stop_application
        self._failure = None
        # Not Thread.join(): a KeyboardInterrupt in it marks the thread as ended.
        self._ended = threading.Event()
        self._ended.set()

    def serve(self):
        """
        Serve until shut_down() is called, or a signal's exception is raised.

        The loop has a thread of its own, so that neither interrupts it.
        """
        self._ended.clear()
        threading.Thread(target=self._run, name="channels-server", daemon=True).start()
        while not self._ended.wait(SIGNAL_SECONDS):
            # The main thread handles signals, also those that another one got.
            continue
        if self._failure is not None:
            raise self._failure

    def shut_down(self):
        """Stop serving, within STOP_SECONDS."""
        deadline = time.monotonic() + STOP_SECONDS
        if not self._ended.is_set():
            # Sockets first: their disconnect messages are then on the way.
            self._on_loop(self._close_connections(), STOP_SECONDS)
        # Then the consumers, while the loop still carries what they send.
        self._stop_application(max(0, deadline - time.monotonic()))
        if not self._ended.is_set():
            # The loop last, with nothing left on it.
            self._on_loop(self._end_loop(), 2 * CANCEL_SECONDS)
            self._ended.wait(CANCEL_SECONDS)
        self._listener.close()

    def create_application(self, protocol, scope):
        """Run the application of a connection; return the queue of its events."""
        events = super().create_application(protocol, scope)
        run = self.connections.get(protocol, {}).get("application_instance")
        if run is not None and scope["type"] == "http":
            run.add_done_callback(lambda run: _cut_off(protocol))
        return events

    def kill_all_applications(self):
        """Do nothing: shut_down() ended them before the reactor stopped."""

    def _run(self):
        try:
            self.run()
        except BaseException as error:
            self._failure = error
        finally:
            self._ended.set()

    def _listen(self):
        self.ws_factory.protocol = SocketProtocol
        # A client that breaks a rule or a limit gets the close code that says so. The
        # origin "null" is the application's to judge, as any other.
        self.ws_factory.setProtocolOptions(failByDrop=False, allowNullOrigin=True)
        build = self.http_factory.buildProtocol
        self.http_factory.buildProtocol = lambda address: _with_tls_hint(build(address))
        self._port = reactor.adoptStreamPort(
            self._listener.fileno(), self._listener.family, self.http_factory
        )
        # The port has a duplicate of its own.
        self._listener.close()

    def _on_loop(self, coroutine, seconds):
        loop = reactor._asyncioEventloop
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            future.result(seconds)
        except concurrent.futures.TimeoutError:
            logger.debug("%s took longer than %s s.", coroutine, seconds)

    async def _close_connections(self):
        self._port.stopListening()
        await self._end_connections()

    async def _end_connections(self):
        applications = []
        for protocol, details in list(self.connections.items()):
            application = details.get("application_instance")
            if application is not None and not application.done():
                applications.append(application)
            if isinstance(protocol, SocketProtocol):
                protocol.go_away()
            elif application is not None:
                application.cancel()
        if applications:
            await asyncio.wait(applications, timeout=CLOSE_SECONDS)

    async def _end_loop(self):
        for protocol in list(self.connections):
            if isinstance(protocol, SocketProtocol):
                protocol.dropConnection(abort=True)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
        reactor.stop()


def _cut_off(request):
    """Close the connection of a request whose response has begun and broken off."""
    if request.startedWriting and not request.finished:
        request.loseConnection()


def _with_tls_hint(protocol):
    """Have an HTTP connection say so, and end, if its client speaks TLS."""
    receive = protocol.dataReceived

    def receive_first(data):
        protocol.dataReceived = receive
        if data.startswith(TLS_HANDSHAKE):
            logger.error("A client speaks HTTPS, which runserver does not: use http://")
            protocol.transport.loseConnection()
        else:
            receive(data)

    protocol.dataReceived = receive_first
    return protocol


def log_action(protocol, action, details):
    """Log a request or a socket event in a line, as upstream's server does."""
    if protocol == "http" and action == "complete":
        status = details["status"]
        message = "HTTP %s %s %s [%.2f, %s]"
        args = (details["method"], details["path"], status, details["time_taken"])
    elif protocol == "websocket" and action in SOCKET_EVENTS:
        event, status = SOCKET_EVENTS[action]
        message = "WebSocket %s %s [%s]"
        args = (event, details["path"])
    else:
        return
    extra = {"server_time": time.strftime("%d/%b/%Y %H:%M:%S")}
    if status is not None:
        extra["status_code"] = status
    args = (_printable(argument) for argument in (*args, details["client"]))
    logger.log(_level(status), message, *args, extra=extra)


def _level(status):
    if status is None or status < 400:
        return logging.INFO
    return logging.WARNING if status < 500 else logging.ERROR


def _printable(argument):
    """Escape what a client might have sent to play with the terminal."""
    if isinstance(argument, str):
        return argument.encode("unicode_escape").decode("ascii")
    return argument
