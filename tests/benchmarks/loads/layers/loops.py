"""Our layers in their async form, and those of Channels, on an event loop."""

import asyncio
import time

from measures import MESSAGE, Percentiles, new_inbox

# How often a reader looks whether all has come.
LOOK_SECONDS = 0.05
# How long nothing may come before the rest counts as lost.
LOST_SECONDS = 0.5
# How many calls are made between two looks at the clock.
CALLS = 50
# How many channels are added to a group at once: redis-py has 100 connections.
ADDS = 50


class Ours:
    """The async form of one of our layers, as the loads call it."""

    def __init__(self, layer):
        self.layer = layer
        self.send = layer.asend
        self.send_group = layer.asend_group
        self.group_add = layer.agroup_add

    async def channel(self, normal):
        if normal:
            return [normal, normal]
        inbox = new_inbox()
        return [await self.layer.anew_channel(inbox), inbox]

    async def receive(self, name):
        _, message = await self.layer.areceive([name], True)
        return message


class Channels:
    """A layer of Channels, as the loads call it."""

    def __init__(self, layer):
        self.layer = layer
        self.send = layer.send
        self.receive = layer.receive
        self.send_group = layer.group_send
        self.group_add = layer.group_add

    async def channel(self, normal):
        name = normal or await self.layer.new_channel()
        return [name, name]


class Loops:
    """A process that uses a layer on an event loop."""

    def __init__(self, layer, commands, spec):
        self.layer = (Ours if spec["form"] == "async" else Channels)(layer)
        self.commands = commands
        self.received = 0
        self.reader = None
        self.members = []

    def run(self):
        """Do what the harness asks for, for ever."""
        asyncio.run(self._run())

    async def _run(self):
        while True:
            name, arguments = await asyncio.to_thread(self.commands.next)
            result = await getattr(self, name)(**arguments)
            self.commands.answer(result=result)

    async def channel(self, normal=None):
        return await self.layer.channel(normal)

    # Streams.

    async def write(self, channel, seconds, size):
        """Send messages for a time, ``size`` at once: Channels has no batches."""
        send = self.layer.send
        sent = 0
        begun = time.monotonic()
        until = begun + seconds
        while time.monotonic() < until:
            if size == 1:
                await send(channel, MESSAGE)
            else:
                await asyncio.gather(*[send(channel, MESSAGE) for _ in range(size)])
            sent += size
        return {"begun": begun, "sent": sent}

    async def read(self, name):
        """Receive what is expected, or until nothing more comes."""
        if self.reader is None:
            # For all turns: the pub/sub layer forgets a channel with the receive.
            self.reader = asyncio.create_task(self._drain(name))
        before = seen = self.received
        seen_at = time.monotonic()
        while self.received - before != self.commands.expected:
            await asyncio.sleep(LOOK_SECONDS)
            if self.reader.done():
                self.reader.result()
            if seen != self.received or self.commands.expected is None:
                seen, seen_at = self.received, time.monotonic()
            elif time.monotonic() - seen_at > LOST_SECONDS:
                break
        return {"ended": self.ended, "received": self.received - before}

    async def _drain(self, name):
        receive = self.layer.receive
        while True:
            await receive(name)
            self.received += 1
            self.ended = time.monotonic()

    # One way and back.

    async def ping(self, channel, own, inbox, seconds):
        """Send and wait for the answer, again and again; return the times."""
        send, receive = self.layer.send, self.layer.receive
        message = {**MESSAGE, "answer": own}
        times = Percentiles()
        until = time.monotonic() + seconds
        while times.last < until:
            times.begin()
            await send(channel, message)
            await receive(inbox)
            times.end()
        await send(channel, {**message, "last": True})
        await receive(inbox)
        return times.result()

    async def pong(self, inbox):
        """Answer pings until the last one."""
        send, receive = self.layer.send, self.layer.receive
        last = False
        while not last:
            message = await receive(inbox)
            last = "last" in message
            await send(message["answer"], MESSAGE)

    # Groups.

    async def join(self, group, members):
        """Add so many channels to a group, always the same ones first."""
        while len(self.members) < members:
            self.members.append((await self.layer.channel(None))[0])
        for first in range(0, members, ADDS):
            some = self.members[first : min(first + ADDS, members)]
            await asyncio.gather(*[self.layer.group_add(group, name) for name in some])

    async def send_group(self, group):
        """Send to a group; return the seconds it took."""
        begun = time.perf_counter()
        await self.layer.send_group(group, MESSAGE)
        return time.perf_counter() - begun

    async def collect(self, count):
        """Receive a message on each of the first channels."""
        for name in self.members[:count]:
            await self.layer.receive(name)

    async def group(self, group, seconds):
        """Send to a group and receive it all, again and again."""
        result = {"sends": 0, "send": 0.0, "collect": 0.0}
        until = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < until:
            await self.layer.send_group(group, MESSAGE)
            sent = time.perf_counter()
            await self.collect(len(self.members))
            result["sends"] += 1
            result["send"] += sent - begun
            result["collect"] += time.perf_counter() - sent
        return result

    # Both in one process.

    async def both(self, channel, name, seconds):
        """Send a message and receive it."""
        send, receive = self.layer.send, self.layer.receive
        count = 0
        begun = now = time.perf_counter()
        while now < begun + seconds:
            for _ in range(CALLS):
                await send(channel, MESSAGE)
                await receive(name)
            count += CALLS
            now = time.perf_counter()
        return {"count": count, "seconds": now - begun}

    async def fill(self, queues):
        """Leave a message in each of so many channels."""
        for number in range(queues):
            await self.layer.send(f"bench.idle.{number}", MESSAGE)

    # Nothing.

    async def idle(self):
        """Wait for a message on two channels, for ever."""
        self.waiting = []
        for normal in (None, "bench.nothing"):
            _, name = await self.layer.channel(normal)
            self.waiting.append(asyncio.create_task(self.layer.receive(name)))
