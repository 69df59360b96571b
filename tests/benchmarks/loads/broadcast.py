"""Sockets in one group, and one that sends to it as soon as all have got enough."""

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

    def __init__(self, size, under_way):
        self.faults = 0
        # The messages, and how many members have not got each of them.
        self.texts = []
        self.missing = []
        self._size = size
        self._under_way = under_way
        self._room = asyncio.Semaphore(under_way)

    async def expect(self, text):
        """Begin a message that every member is to get once, when there is room."""
        await self._wait()
        self.texts.append(text)
        self.missing.append(self._size)

    def complete(self):
        """Note that everybody has got a message."""
        self._room.release()

    async def wait(self):
        """Wait until everybody has everything."""
        for _ in range(self._under_way):
            await self._wait()
        for _ in range(self._under_way):
            self._room.release()

    async def _wait(self):
        """Wait for room; whoever has not got a message in time counts as a fault."""
        try:
            await asyncio.wait_for(self._room.acquire(), LOST_SECONDS)
        except asyncio.TimeoutError:
            self.faults += sum(self.missing)


class Member(WSListener):
    """One socket of the group, which gets each message once, and in order."""

    def __init__(self, audience):
        self._audience = audience
        self._next = 0

    def on_ws_frame(self, transport, frame):
        audience, number = self._audience, self._next
        self._next = number + 1
        # There may be one more than were sent.
        if audience.texts[number : number + 1] != [frame.get_payload_as_bytes()]:
            audience.faults += 1
            return
        audience.missing[number] -= 1
        if not audience.missing[number]:
            audience.complete()


class Load(Details):
    """All sockets of a run."""

    def __init__(self, options):
        self._options = options
        self._number = 0

    async def connect(self):
        address = f"ws://127.0.0.1:{self._options.port}"
        path = self._options.path
        self._audience = Audience(self._options.sockets, self._options.under_way)
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
        await self._audience.wait()

    async def work(self, seconds):
        """Return the deliveries, the time they took, and the faults."""
        loop = asyncio.get_running_loop()
        first = self._number
        begun = loop.time()
        while loop.time() < begun + seconds and not self._audience.faults:
            await self._broadcast()
        await self._audience.wait()
        seconds = loop.time() - begun
        deliveries = (self._number - first) * self._options.sockets
        # A message that comes twice may come late.
        await asyncio.sleep(0.1)
        return deliveries, seconds, self._audience.faults

    async def _broadcast(self):
        text = b"message %d to everybody" % self._number
        self._number += 1
        await self._audience.expect(text)
        self._sender.send(WSMsgType.TEXT, text)


if __name__ == "__main__":
    run(Load, __doc__, path="/group/", sockets=100, under_way=1)
