"""HTTP requests on many connections at once, each sent when the last is answered."""

import json
import select
import socket
import statistics
import sys
import time

from commands import Commands, describe

# Seconds at the beginning of a turn that do not count: all clients begin at once
# then, on connections that are all new.
RAMP_SECONDS = 0.3
# Seconds that a request waits for its answer, and the harness for the last one.
TIMEOUT_SECONDS = 30
END_OF_HEAD = b"\r\n\r\n"


class Client:
    """
    One client: it keeps its connection as long as the server does.

    A request is timed from the moment it is due, with a new connection if it
    needs one.
    """

    def __init__(self, requester):
        self._requester = requester
        self._socket = None

    def ask(self):
        """Send a request."""
        self.begun = time.perf_counter()
        self._answer = b""
        if self._socket is None:
            self.connect()
        self._socket.send(self._requester.request)

    def connect(self):
        """Open a connection."""
        self._socket = socket.socket()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(TIMEOUT_SECONDS)
        self._socket.connect(self._requester.address)
        self._socket.setblocking(False)
        self._requester.register(self._socket.fileno(), self)

    def read(self):
        """Read what came; return None, or whether the answer is the right one."""
        try:
            part = self._socket.recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            part = b""
        self._answer += part
        head, mark, body = self._answer.partition(END_OF_HEAD)
        expected = self._requester.expected
        if part and (not mark or len(body) < len(expected)):
            return None
        # Daphne says "HTTP/1.1 200", and the reason that others have as well.
        right = head.startswith(b"HTTP/1.1 200 ") and body == expected
        if not part or b"\r\nconnection: close" in head.lower():
            self.close()
        return right

    def close(self):
        """Close the connection; the next request opens another."""
        if self._socket is not None:
            self._requester.unregister(self._socket.fileno())
            self._socket.close()
            self._socket = None


class Requester:
    """Many clients of one server."""

    def __init__(self, port, path, expected, connections):
        self.address = ("127.0.0.1", port)
        self.request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "User-Agent: benchmark\r\nAccept: */*\r\n\r\n"
        ).encode()
        self.expected = expected.encode()
        self._epoll = select.epoll()
        self._clients = {}
        self._all = [Client(self) for _ in range(connections)]

    def register(self, descriptor, client):
        """Watch the connection of a client."""
        self._clients[descriptor] = client
        self._epoll.register(descriptor, select.EPOLLIN)

    def unregister(self, descriptor):
        """Watch a connection no more."""
        del self._clients[descriptor]
        self._epoll.unregister(descriptor)

    def load(self, seconds):
        """Have every client ask for so long; return what came of it."""
        for client in self._all:
            client.connect()
        cpu, begun = time.process_time(), time.perf_counter() + RAMP_SECONDS
        until, count, errors, times = begun + seconds, 0, 0, []
        waiting = set(self._all)
        for client in self._all:
            client.ask()
        while waiting:
            now = time.perf_counter()
            if now > until + TIMEOUT_SECONDS:
                break
            for descriptor, _ in self._epoll.poll(1):
                client = self._clients[descriptor]
                right = client.read()
                if right is None:
                    continue
                now = time.perf_counter()
                errors += not right
                count += right and begun <= now <= until
                if client.begun >= begun:
                    times.append(now - client.begun)
                if now < until:
                    client.ask()
                else:
                    waiting.discard(client)
        for client in self._all:
            # Servers close connections that are idle until the next turn.
            client.close()
        return {
            "value": count / seconds,
            "seconds": seconds,
            "count": count,
            "errors": errors + len(waiting),
            **percentiles(times),
            "requester CPU": (time.process_time() - cpu) / (seconds + RAMP_SECONDS),
        }


def percentiles(times):
    """Return two percentiles and the longest of some times, in milliseconds."""
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {"p50": cuts[49] * 1e3, "p99": cuts[98] * 1e3, "max": max(times) * 1e3}


def main():
    """Load a server whenever the harness says so."""
    commands = Commands()
    try:
        requester = Requester(**json.loads(sys.argv[1]))
        while True:
            _, arguments = commands.next()
            commands.answer(result=requester.load(**arguments))
    except Exception as error:
        commands.answer(error=describe(error))


if __name__ == "__main__":
    main()
