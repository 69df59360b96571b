"""HTTP requests, each on a connection of its own, a few of them under way."""

import socket
import time
from collections import deque

from session import Details, run

# Connections that wait at the server, so that it never waits for us.
UNDER_WAY = 4
WARM_UP_REQUESTS = 300
TIMEOUT_SECONDS = 10


class Load(Details):
    """
    The requests of a run.

    Blocking sockets cost least. A server with one worker answers in order, so
    that the oldest connection is always the next to be answered.
    """

    def __init__(self, options):
        self._address = ("127.0.0.1", options.port)
        self._request = (
            f"GET {options.path} HTTP/1.1\r\nHost: 127.0.0.1:{options.port}\r\n"
            "User-Agent: benchmark\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        ).encode()
        self._expected = options.expected.encode()

    async def connect(self):
        for _ in range(WARM_UP_REQUESTS):
            self._is_answered(self._ask())

    async def work(self, seconds):
        """Return the number of answers within a time, and of the wrong ones."""
        count = faults = 0
        begun = time.perf_counter()
        waiting = deque(self._ask() for _ in range(UNDER_WAY))
        while time.perf_counter() < begun + seconds:
            faults += not self._is_answered(waiting.popleft())
            count += 1
            waiting.append(self._ask())
        seconds = time.perf_counter() - begun
        while waiting:
            faults += not self._is_answered(waiting.popleft())
        return count, seconds, faults

    def _ask(self):
        connection = socket.create_connection(self._address, TIMEOUT_SECONDS)
        connection.sendall(self._request)
        return connection

    def _is_answered(self, connection):
        with connection:
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return answer.startswith(b"HTTP/1.1 200") and answer.endswith(self._expected)


if __name__ == "__main__":
    run(Load, __doc__, path="/hello/", expected="Hello, world.")
