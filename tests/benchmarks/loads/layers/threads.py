"""Our layers in their sync form."""

import asyncio
import threading
import time

from measures import MESSAGE, Percentiles, new_inbox

# How many messages a reader takes at once, and how long it waits for them.
LIMIT = 1000
WAIT_SECONDS = 0.25
# How long a writer waits for room.
FULL_SECONDS = 0.001
# How many calls are made between two looks at the clock.
CALLS = 50


class Threads:
    """A process that uses a layer without an event loop."""

    def __init__(self, layer, commands, spec):
        self.layer = layer
        self.commands = commands
        self.address = spec["address"]
        self.members = []

    def run(self):
        """Do what the harness asks for, for ever."""
        while True:
            name, arguments = self.commands.next()
            self.commands.answer(result=getattr(self, name)(**arguments))

    def channel(self, normal=None):
        """Return a channel to send to, and the name to receive it by."""
        if normal:
            return [normal, normal]
        inbox = new_inbox()
        return [self.layer.new_channel(inbox), inbox]

    # Streams.

    def write(self, channel, seconds, size):
        """Send batches of that size for a time, each message until there is room."""
        pairs = [(channel, MESSAGE)] * size
        sent = 0
        begun = time.monotonic()
        until = begun + seconds
        while time.monotonic() < until:
            waiting = pairs
            while any(errors := self.layer.send_batch(waiting)):
                waiting = [pair for pair, error in zip(waiting, errors) if error]
                time.sleep(FULL_SECONDS)
            sent += size
        return {"begun": begun, "sent": sent}

    def read(self, name):
        """Receive what is expected, or until nothing more comes."""
        received = 0
        ended = time.monotonic()
        while received != self.commands.expected:
            pairs = self.layer.receive_batch([name], LIMIT, True, WAIT_SECONDS)
            if pairs:
                received += len(pairs)
                ended = time.monotonic()
            elif self.commands.expected is not None:
                break
        return {"ended": ended, "received": received}

    # One way and back.

    def ping(self, channel, own, inbox, seconds):
        """Send and wait for the answer, again and again; return the times."""
        layer, names = self.layer, [inbox]
        message = {**MESSAGE, "answer": own}
        times = Percentiles()
        until = time.monotonic() + seconds
        while times.last < until:
            times.begin()
            layer.send(channel, message)
            layer.receive(names, True)
            times.end()
        layer.send(channel, {**message, "last": True})
        layer.receive(names, True)
        return times.result()

    def pong(self, inbox):
        """Answer pings until the last one."""
        layer, names = self.layer, [inbox]
        last = False
        while not last:
            _, message = layer.receive(names, True)
            last = "last" in message
            layer.send(message["answer"], MESSAGE)

    # Single sends.

    def sends(self, channel, seconds):
        """Send one message after the other; nobody receives them."""
        send = self.layer.send
        result = repeat(lambda: send(channel, MESSAGE), seconds)
        self.layer.flush()
        return result

    def sets(self, seconds):
        """Set a key in Redis one time after the other."""
        import redis

        client = redis.Redis.from_url(self.address)
        value = b"x" * 100
        result = repeat(lambda: client.set("bench", value), seconds)
        client.close()
        return result

    # Groups.

    def join(self, group, members):
        """Add so many channels to a group, always the same ones first."""
        if not self.members:
            self.inbox = new_inbox()
        while len(self.members) < members:
            self.members.append(self.layer.new_channel(self.inbox))
        for name in self.members[:members]:
            self.layer.group_add(group, name)
        # The owner learns of its members as it reads.
        if self.members:
            self.layer.receive_batch([self.inbox], 1)

    def send_group(self, group):
        """Send to a group; return the seconds it took."""
        begun = time.perf_counter()
        self.layer.send_group(group, MESSAGE)
        return time.perf_counter() - begun

    def collect(self, count):
        """Receive so many messages."""
        received = 0
        while received < count:
            received += len(self.layer.receive_batch([self.inbox], LIMIT, True))

    def group(self, group, seconds):
        """Send to a group and receive it all, again and again."""
        result = {"sends": 0, "send": 0.0, "collect": 0.0}
        until = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < until:
            self.layer.send_group(group, MESSAGE)
            sent = time.perf_counter()
            self.collect(len(self.members))
            result["sends"] += 1
            result["send"] += sent - begun
            result["collect"] += time.perf_counter() - sent
        return result

    # Both in one process.

    def both(self, channel, name, seconds):
        """Send a message and receive it."""
        layer, names = self.layer, [name]

        def once():
            layer.send(channel, MESSAGE)
            layer.receive(names)

        return repeat(once, seconds)

    def fill(self, queues):
        """Leave a message in each of so many channels."""
        for number in range(queues):
            self.layer.send(f"bench.idle.{number}", MESSAGE)

    # Nothing.

    def idle(self):
        """Wait for messages in a thread, and on an event loop, for ever."""
        names = [new_inbox()], ["bench.nothing"]
        threading.Thread(
            target=lambda: self.layer.receive(names[0], True), daemon=True
        ).start()
        threading.Thread(
            target=lambda: asyncio.run(self.layer.areceive(names[1], True)), daemon=True
        ).start()


def repeat(function, seconds):
    """Call a function for a time; return how often, and how long."""
    count = 0
    begun = now = time.perf_counter()
    while now < begun + seconds:
        for _ in range(CALLS):
            function()
        count += CALLS
        now = time.perf_counter()
    return {"count": count, "seconds": now - begun}
