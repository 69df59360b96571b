"""Sockets in one group, and one that sends to it when all have got the last."""

import asyncio
from functools import partial

from picows import WSListener, WSMsgType, ws_connect
from session import Details, run

WARM_UP_MESSAGES = 3
# Sockets that connect at the same time.
CONNECTING = 20
# Seconds until what has not arrived counts as lost.
LOST_SECONDS = 20


class Audience:
    """Counts what the members of the group get."""

    def __init__(self, size):
        self._size = size
        self.faults = 0
        self.complete = asyncio.Event()
        self.missing = 0

    def expect(self, text):
        """Begin a message that every member is to get once."""
        self.text = text
        self.missing = self._size
        self.complete.clear()

    def got(self):
        self.missing -= 1
        if not self.missing:
            self.complete.set()

    async def wait(self):
        """Wait until everybody has it; whoever has not in time counts as a fault."""
        try:
            await asyncio.wait_for(self.complete.wait(), LOST_SECONDS)
        except asyncio.TimeoutError:
            self.faults += self.missing


class Member(WSListener):
    """One socket of the group, which gets each message exactly once."""

    def __init__(self, audience):
        self._audience = audience
        self._last = None

    def on_ws_frame(self, transport, frame):
        audience = self._audience
        text = frame.get_payload_as_bytes()
        if text != audience.text or text == self._last:
            audience.faults += 1
            return
        self._last = text
        audience.got()


class Load(Details):
    """All sockets of a run."""

    def __init__(self, options):
        self._options = options
        self._number = 0

    async def connect(self):
        address = f"ws://127.0.0.1:{self._options.port}"
        path = self._options.path
        self._audience = Audience(self._options.sockets)
        self._transports = []
        room = asyncio.Semaphore(CONNECTING)

        async def join():
            async with room:
                url = f"{address}{path}member/"
                transport, _ = await ws_connect(partial(Member, self._audience), url)
                self._transports.append(transport)

        await asyncio.gather(*(join() for _ in range(self._options.sockets)))
        self._sender, _ = await ws_connect(WSListener, f"{address}{path}sender/")
        for _ in range(WARM_UP_MESSAGES):
            await self._broadcast()

    async def work(self, seconds):
        """Return the deliveries, the time they took, and the faults."""
        loop = asyncio.get_running_loop()
        first = self._number
        begun = loop.time()
        while loop.time() < begun + seconds and not self._audience.faults:
            await self._broadcast()
        seconds = loop.time() - begun
        deliveries = (self._number - first) * self._options.sockets
        # A message that comes twice may come late.
        await asyncio.sleep(0.1)
        return deliveries, seconds, self._audience.faults

    async def _broadcast(self):
        text = b"message %d to everybody" % self._number
        self._number += 1
        self._audience.expect(text)
        self._sender.send(WSMsgType.TEXT, text)
        await self._audience.wait()


if __name__ == "__main__":
    run(Load, __doc__, path="/group/", sockets=100)
