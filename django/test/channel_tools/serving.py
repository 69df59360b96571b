"""
The thread of a live server, and the threads of its consumers.

In: connections to a listening socket. Out: the in-process application of
django.channels.asgi, with database connections that suit a test.
"""

import socket
import threading
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from unittest import SkipTest

from django.channels.asgi import InProcessApplication
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.db import connections
from django.test.testcases import LiveServerThread

# Seconds that consumers have to finish in, on a machine with much else to do.
EXIT_SECONDS = 30.0
# Connections that the kernel accepts while the server is busy.
BACKLOG = 128
# What uvicorn serves sockets with: one of them is needed.
SOCKET_LIBRARIES = ["websockets", "wsproto"]

# Held by each consumer that shares a connection to a database with other threads.
EXCLUSIVE = threading.RLock()


def find_server():
    """
    Return the class of the server that is installed, uvicorn's or Daphne's.

    Raise SkipTest, with what to install, if there is none.
    """
    if find_spec("uvicorn") and any(map(find_spec, SOCKET_LIBRARIES)):
        from .uvicorn_server import UvicornServer

        return UvicornServer
    if find_spec("daphne"):
        from .daphne_server import DaphneServer

        return DaphneServer
    libraries = " or ".join(SOCKET_LIBRARIES)
    raise SkipTest(
        f"ChannelLiveServerTestCase needs Daphne, or uvicorn with {libraries}: "
        f"neither is installed."
    )


class _OneByOne:
    """Has consumers run one at a time, as one connection to a database asks for."""

    def begin(self, channel, content):
        with EXCLUSIVE:
            return super().begin(channel, content)


class SharingApplication(InProcessApplication):
    """An application whose threads share a connection to a database."""

    lane_worker_class = type(
        "OneByOneLaneWorker", (_OneByOne, InProcessApplication.lane_worker_class), {}
    )
    worker_class = type(
        "OneByOneWorker", (_OneByOne, InProcessApplication.worker_class), {}
    )


class ChannelLiveServerThread(LiveServerThread):
    """
    Serves views and consumers until terminate().

    ``threads`` run the consumers of connections; static files are served if
    ``serve_static`` is true. See LiveServerThread for the rest.
    """

    def __init__(
        self, host, connections_override=None, port=0, threads=1, serve_static=True
    ):
        super().__init__(host, None, connections_override, port)
        self.threads = threads
        self.serve_static = serve_static
        self.application = None
        self._server = None

    def run(self):
        """Listen, tell that it does, and serve."""
        try:
            with _listening(self.host, self.port) as listener, self._databases():
                self.port = listener.getsockname()[1]
                self._serve(listener)
        except BaseException as error:
            self.error = error
        finally:
            self.is_ready.set()
            connections.close_all()

    def end_connections(self):
        """
        Close the connections, and let consumers finish what they have begun.

        Consumers are told of the ends of sockets. Raise TimeoutError for some that
        do not finish in time.
        """
        self._server.end_connections()
        if not self.application.stop(EXIT_SECONDS):
            raise TimeoutError(
                f"Consumers did not finish within {EXIT_SECONDS} s of a test's end."
            )

    def terminate(self):
        """Close the connections, let consumers finish, and end."""
        if self._server is not None and self.is_alive():
            self._server.end_connections()
            self._server.stop()
        self.join()

    def _serve(self, listener):
        make = SharingApplication if self.connections_override else InProcessApplication
        self.application = make(threads=self.threads)
        self.application.start()
        self._server = find_server()()
        self._server.serve(
            self._with_static_files(self.application),
            listener,
            on_ready=self.is_ready.set,
            on_end=partial(self.application.stop, EXIT_SECONDS),
        )

    def _with_static_files(self, application):
        return ASGIStaticFilesHandler(application) if self.serve_static else application

    def _databases(self):
        return database_connections(self.connections_override or {})


@contextmanager
def _listening(host, port):
    """Give a socket that listens on a host's first address."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, socket.AF_INET, socket.SOCK_STREAM
    )[0]
    with socket.socket(family, kind, protocol) as listener:
        listener.bind(address)
        listener.listen(BACKLOG)
        yield listener


@contextmanager
def database_connections(shared):
    """
    Have new threads use the connections {alias: connection} instead of their own.

    Those that they make for other aliases are closed at the end.
    """
    create, made = connections.create_connection, []

    def create_or_share(alias):
        if alias in shared:
            return shared[alias]
        made.append(create(alias))
        return made[-1]

    connections.create_connection = create_or_share
    try:
        yield
    finally:
        del connections.create_connection
        for connection in made:
            # The threads that used them have ended.
            connection.inc_thread_sharing()
            connection.close()
