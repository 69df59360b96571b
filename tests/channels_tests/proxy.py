"""
A proxy between a client and a server, which loses, delays and cuts.

In: connections to a port of its own. Out: a server's port or Unix socket. A test
says what happens to the next ones, while they run, and is told what did.
"""

import contextlib
import socket
import threading

CHUNK_BYTES = 65536


class Proxy:
    """
    Forwards connections until stop(); as a context manager as well.

    ``target`` is (host, port) or the path of a Unix socket.
    """

    def __init__(self, target):
        self._target = target
        self._changed = threading.Condition()
        self._making = threading.Lock()
        self._links = set()
        self._losses = []
        self._open = True
        self._held = False
        self._delay = 0
        self._cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        # What its threads are called.
        self.name = f"proxy {self.port}"
        self._thread = self.start(self._accept)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.stop()

    def start(self, function, *args):
        """Run a function in a thread, which is returned."""
        thread = threading.Thread(
            target=function, args=args, name=self.name, daemon=True
        )
        thread.start()
        return thread

    @property
    def port(self):
        """The port to connect to."""
        return self._listener.getsockname()[1]

    @property
    def cuts(self):
        """How many answers were cut."""
        # Whoever sees that one is cut finds it counted.
        with self._changed:
            return self._cuts

    def stop(self):
        """End all connections, and take no more; twice is once."""
        if not self._thread.is_alive():
            return
        self._open = False
        self.release()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.cut()

    # What a test does to connections.

    def cut(self):
        """End all connections, wherever they are."""
        with self._making, self._changed:
            links = list(self._links)
        for link in links:
            link.close()

    def refuse(self):
        """End all connections, and every new one at once."""
        self._open = False
        self.cut()

    def accept(self):
        """Take connections again after refuse()."""
        self._open = True

    def hold(self):
        """Let nothing through, either way, until release()."""
        self._held = True

    def release(self):
        """Let everything through that hold() kept, and go on."""
        with self._changed:
            self._held = False
            self._changed.notify_all()

    def delay(self, seconds):
        """Let everything through that many seconds later, chunk by chunk."""
        self._delay = seconds

    def lose_answer(self, request=b"", after=0, count=1):
        """
        Cut the connection on which an answer to a request comes.

        ``request`` is in the bytes of the request, ``after`` is how many bytes
        of the answer the client still gets. The server has done its work then.
        """
        with self._changed:
            self._losses += [(request, after)] * count

    def wait_for_cuts(self, count, timeout):
        """Return whether so many answers were cut, within a time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._cuts >= count, timeout)

    # What links ask.

    def loss(self, request):
        """Return how much of an answer is let through, and forget it, or None."""
        with self._changed:
            for loss in self._losses:
                if loss[0] in request:
                    self._losses.remove(loss)
                    return loss[1]
            return None

    def cut_answer(self, link):
        """End a connection on which an answer is lost, and count it."""
        with self._changed:
            link.close()
            self._cuts += 1
            self._changed.notify_all()

    def pause(self):
        """Wait while everything is held or delayed."""
        with self._changed:
            if self._delay:
                self._changed.wait(self._delay)
            self._changed.wait_for(lambda: not self._held)

    def forget(self, link):
        """Remove a link that has ended."""
        with self._changed:
            self._links.discard(link)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._making:  # So that cut() sees it, as soon as its ends do.
                server = self._connect() if self._open else None
                if server is None:
                    client.close()
                    continue
                link = _Link(self, client, server)
                with self._changed:
                    self._links.add(link)
                link.start()

    def _connect(self):
        if not isinstance(self._target, str):
            with contextlib.suppress(OSError):
                return socket.create_connection(self._target)
            return None
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._target)
        except OSError:
            server.close()
            return None
        return server


class _Link:
    """One client and its server, with a thread for each direction."""

    def __init__(self, proxy, client, server):
        self._proxy = proxy
        self._client = client
        self._server = server
        # What the client sent since the last answer.
        self._request = b""
        self._left = 2
        self._lock = threading.Lock()

    def start(self):
        for run in self._forward, self._answer:
            self._proxy.start(self._run, run)

    def close(self):
        for end in self._client, self._server:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _run(self, run):
        try:
            run()
        except OSError:
            pass
        self.close()
        with self._lock:
            self._left -= 1
            last = not self._left
        if last:
            self._client.close()
            self._server.close()
            self._proxy.forget(self)

    def _forward(self):
        while data := self._client.recv(CHUNK_BYTES):
            self._proxy.pause()
            self._request += data
            self._server.sendall(data)

    def _answer(self):
        while data := self._server.recv(CHUNK_BYTES):
            self._proxy.pause()
            request, self._request = self._request, b""
            after = self._proxy.loss(request)
            if after is not None:
                self._client.sendall(data[:after])
                self._proxy.cut_answer(self)
                return
            self._client.sendall(data)
