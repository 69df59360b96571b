"""
A layer that spans processes and is as simple as one can be.

A thread of the test's process holds memory layers and answers calls on a socket.
"""

import os
import shutil
import socket
import tempfile
import threading
from multiprocessing.connection import Client, Listener
from pathlib import Path

from django.channels.backends import options
from django.channels.backends.base import BaseChannelLayer
from django.channels.backends.values import copy_message
from django.channels.names import queue_of, validate_channel

from .third_party import InnerLayer

# How many connections wait to be accepted.
BACKLOG = 100


class LayerServer:
    """Serves one memory layer to any number of processes."""

    def __init__(self):
        self._folder = tempfile.mkdtemp()
        path = str(Path(self._folder, "socket"))
        # With room for all who come while nobody accepts, close() among them.
        self._listener = Listener(path, backlog=BACKLOG)
        self._layer = None
        # Held by whoever makes it: several may call first.
        self._making = threading.Lock()
        # {inbox: the process that reads it}
        self._readers = {}
        self._closing = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def address(self):
        """The path of the socket."""
        return self._listener.address

    def close(self):
        """Take no more connections."""
        # An accept that waits is not ended by a close.
        self._closing = True
        with Client(self.address):
            self._thread.join()
        self._listener.close()
        shutil.rmtree(self._folder)

    def _accept(self):
        while True:
            connection = self._listener.accept()
            if self._closing:
                return connection.close()
            threading.Thread(
                target=self._serve, args=(connection,), daemon=True
            ).start()

    def _serve(self, connection):
        with connection:
            while True:
                try:
                    process, given, name, args = connection.recv()
                except (EOFError, OSError):
                    return
                with self._making:
                    if self._layer is None:
                        self._layer = InnerLayer(**given)
                self._answer(connection, process, name, args)

    def _answer(self, connection, process, name, args):
        try:
            self._check_owner(process, name, args)
            answer = (None, getattr(self._layer, name)(*args))
        except Exception as error:
            answer = (error, None)
        try:
            connection.send(answer)
        except OSError:
            # Whoever asked was interrupted.
            if name == "receive" and answer[1][0] is not None:
                self._layer.put_back([answer[1]])

    def _check_owner(self, process, name, args):
        if name == "receive":
            self._readers.update((n, process) for n in args[0] if n[-1:] == "!")
        if name == "close_channel":
            inbox = queue_of(validate_channel(args[0]))
            reader = self._readers.get(inbox, process)
            if reader != process:
                raise TypeError(f"{args[0]!r} is of another process.")


class RemoteLayer(BaseChannelLayer):
    """A layer whose calls are carried out by a LayerServer."""

    supports_sync = True
    spans_processes = True

    def __init__(self, address, **given):
        super().__init__(**given)
        self._options = given
        self._address = address
        self._local = threading.local()
        self._connections = set()

    def after_fork(self):
        super().after_fork()
        self._local = threading.local()
        self._connections = set()

    def close(self):
        for connection in list(self._connections):
            with socket.socket(fileno=os.dup(connection.fileno())) as other:
                other.shutdown(socket.SHUT_RDWR)
            self._connections.discard(connection)

    def send(self, channel, message):
        self._call("send", channel, copy_message(message, self.max_message_size))

    def send_group(self, group, message):
        self._call("send_group", group, copy_message(message, self.max_message_size))

    def receive(self, channels, block=False, timeout=None):
        # An iterator does not travel.
        names = list(options.check_channels(channels))
        try:
            return self._call("receive", names, block, timeout)
        except EOFError:
            # close() ended it.
            return None, None

    def _call(self, name, *args):
        try:
            return self._ask(name, *args)
        except BrokenPipeError:
            # Closed before.
            return self._ask(name, *args)

    def _ask(self, name, *args):
        if not hasattr(self._local, "connection"):
            self._local.connection = Client(self._address)
            self._connections.add(self._local.connection)
        try:
            self._local.connection.send((os.getpid(), self._options, name, args))
            error, result = self._local.connection.recv()
        except BaseException:
            with self._local.connection as connection:
                self._connections.discard(connection)
                del self._local.connection
            raise
        if error is not None:
            raise error
        return result


def _forward(name):
    def call(self, *args):
        return self._call(name, *args)

    return call


for _name in (
    "count_refused",
    "put_back",
    "new_channel",
    "close_channel",
    "group_add",
    "group_discard",
    "statistics",
    "queues",
    "groups",
    "flush",
):
    setattr(RemoteLayer, _name, _forward(_name))
