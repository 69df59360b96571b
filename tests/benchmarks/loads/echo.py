"""Sockets that each wait for the echo of a message before they send the next."""

import asyncio
import time
from functools import partial

from picows import WSListener, WSMsgType, ws_connect
from session import percentiles, run

WARM_UP_SECONDS = 0.5


class Echo(WSListener):
    """One socket; the text of each message is its own."""

    def __init__(self, number):
        self.number = number
        self.answered = 0
        self.faults = 0
        # How long each answer took, in seconds.
        self.times = []
        self.opened = asyncio.get_running_loop().create_future()
        self.settled = asyncio.Event()
        self._running = False

    def on_ws_connected(self, transport):
        self._transport = transport
        self.opened.set_result(None)

    def on_ws_frame(self, transport, frame):
        if frame.msg_type != WSMsgType.TEXT or (
            frame.get_payload_as_bytes() != self._sent
        ):
            self.faults += 1
        self.answered += 1
        self.times.append(time.perf_counter() - self._begun)
        if self._running:
            self._send()
        else:
            self.settled.set()

    def on_ws_disconnected(self, transport):
        if not self.settled.is_set():
            self.faults += 1
            self.settled.set()

    def start(self):
        self._running = True
        self.times.clear()
        self.settled.clear()
        self._send()

    def stop(self):
        self._running = False

    def _send(self):
        self._sent = b"%d of %d for the echo" % (self.answered, self.number)
        self._begun = time.perf_counter()
        self._transport.send(WSMsgType.TEXT, self._sent)


class Load:
    """All sockets of a run."""

    def __init__(self, options):
        self._options = options

    async def connect(self):
        url = f"ws://127.0.0.1:{self._options.port}{self._options.path}"
        self._sockets = []
        for number in range(self._options.sockets):
            _, socket = await ws_connect(partial(Echo, number), url)
            await socket.opened
            self._sockets.append(socket)
        await self.work(WARM_UP_SECONDS)

    async def work(self, seconds):
        """Return the number of answers within a time, and of the wrong ones."""
        loop = asyncio.get_running_loop()
        before = self._count()
        begun = loop.time()
        for socket in self._sockets:
            socket.start()
        await asyncio.sleep(seconds)
        count, seconds = self._count() - before, loop.time() - begun
        for socket in self._sockets:
            socket.stop()
        missing = 0
        for socket in self._sockets:
            missing += await self._misses(socket)
        faults = sum(socket.faults for socket in self._sockets) + missing
        return count, seconds, faults

    def details(self):
        """Return how long the answers took that came in the last work."""
        return percentiles([time for socket in self._sockets for time in socket.times])

    def _count(self):
        return sum(socket.answered for socket in self._sockets)

    async def _misses(self, socket):
        try:
            await asyncio.wait_for(socket.settled.wait(), 10)
        except asyncio.TimeoutError:
            return True
        return False


if __name__ == "__main__":
    run(Load, __doc__, path="/echo/", sockets=32)
