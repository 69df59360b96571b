"""
One connection to a server: words out, replies in.

In: calls of shards.py and listener.py, from one thread at a time. Out: a socket
that redis-py connected, with TLS and logged in as its URL says. Nothing here
tries again; redis-py's own way around the socket costs more than the server does.
"""

import itertools
import os
import secrets
import select
import ssl

try:
    import hiredis
except ImportError:
    hiredis = None

from .replies import ErrorReply, ReplyReader, pack

# How much is read from a socket at a time, in bytes.
READ_BYTES = 65536
# Does the system have sockets that are files?
CAN_USE_FILES = os.name == "posix"
# How often poll() reads until it returns.
MAX_READS = 16

if hiredis is not None:

    def make_reader():
        """Return a parser of replies."""
        return hiredis.Reader(replyError=ErrorReply, protocolError=ErrorReply)

    pack = getattr(hiredis, "pack_command", pack)
else:
    make_reader = ReplyReader


class WireError(Exception):
    """Raised when a connection cannot be made, or is lost."""


class Wire:
    """A connection that ``connect`` makes when it is needed, and makes again."""

    def __init__(self, connect):
        self._connect = connect
        self._connection = None
        self._socket = None
        self._reader = None
        # How many bytes TLS has read already, if that is what is spoken.
        self._pending = None
        # The descriptor of a socket whose timeout keeps it from blocking, to write and
        # read without asking first whether that is possible, as the socket would.
        self._file = None
        self._pid = os.getpid()
        # How this end numbers its calls, so that a server knows a repeated one.
        self.sender = secrets.token_hex(8)
        self.numbers = itertools.count(1)
        # The address that it is connected to.
        self.address = None

    def fileno(self):
        """Return the descriptor to wait for."""
        connected = self._socket
        if connected is None:
            raise WireError("The connection was closed.")
        return connected.fileno()

    @property
    def is_open(self):
        """Is there a connection, as far as is known?"""
        return self._socket is not None

    def open(self):
        """Connect, if it is not. Raise WireError if that fails."""
        if self._socket is None:
            self._connection, self.address = self._connect()
            self._socket = self._connection._sock
            self._pending = getattr(self._socket, "pending", None)
            if self._pending is None and CAN_USE_FILES:
                if self._socket.gettimeout() is not None:
                    self._file = self._socket.fileno()
            self._reader = make_reader()

    def close(self):
        """Disconnect."""
        connection, self._connection = self._connection, None
        self._socket = self._reader = self._file = None
        if connection is not None and self._pid == os.getpid():
            connection.disconnect()

    def send_packed(self, data):
        """Send the bytes of commands."""
        try:
            if self._file is not None:
                data = self._send_now(data)
            if data:
                self._socket.sendall(data)
        except (OSError, ValueError) as error:
            self.close()
            raise WireError(describe_error(error)) from error

    def send_some(self, data):
        """
        Send what there is room for; return the rest. An error shows later.

        This is for a connection that is plain.
        """
        try:
            return self._send_now(data)
        except OSError:
            self.close()
            return b""

    def _send_now(self, data):
        try:
            return data[os.write(self._file, data) :]
        except BlockingIOError:
            return data

    def read(self):
        """Return the next reply; an error reply is returned, too."""
        reader = self._reader
        reply = reader.gets()
        while reply is False:
            self._receive()
            reply = reader.gets()
        return reply

    def has_pending(self):
        """Return whether TLS has something that the socket does not show."""
        return self._pending is not None and self._pending() > 0

    @property
    def is_plain(self):
        """Does the descriptor show all there is to read, and nothing ever wait?"""
        return self._file is not None

    def stop_blocking(self):
        """Have poll() not wait from now on, where the connection is not plain."""
        self._socket.settimeout(0)

    def poll(self):
        """
        Return the next reply if what has come is enough; otherwise False.

        Of a long one, a part is read each time. Before the first call, a connection
        that is not plain needs stop_blocking().
        """
        reply = self._reader.gets()
        for _ in range(MAX_READS):
            if reply is not False:
                break
            try:
                if self._file is None:
                    data = self._socket.recv(READ_BYTES)
                else:
                    data = os.read(self._file, READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                return False
            except (OSError, ValueError) as error:
                self.close()
                raise WireError(describe_error(error)) from error
            self._feed(data)
            reply = self._reader.gets()
        return reply

    def call(self, *words):
        """Send a command and return its reply."""
        self.send_packed(pack(words))
        return self.read()

    def _receive(self):
        try:
            data = self._socket.recv(READ_BYTES)
        except (OSError, ValueError) as error:
            self.close()
            raise WireError(describe_error(error)) from error
        self._feed(data)

    def _feed(self, data):
        if not data:
            self.close()
            raise WireError("The server closed the connection.")
        self._reader.feed(data)


def describe_error(error):
    """Return what an error says, or its type if it says nothing."""
    if isinstance(error, TimeoutError):
        return "The server did not answer in time."
    return str(error) or type(error).__name__


class Watch:
    """Waits for files that are mostly the same ones each time."""

    def __init__(self):
        self._numbers = None
        self._poll = None

    def wait(self, files, seconds):
        """Return whether one of the files can be read, after ``seconds``."""
        numbers = [file.fileno() for file in files]
        if numbers != self._numbers:
            self._numbers = numbers
            self._poll = select.poll()
            for number in numbers:
                self._poll.register(number, select.POLLIN)
        return bool(self._poll.poll(max(seconds, 0) * 1000))
