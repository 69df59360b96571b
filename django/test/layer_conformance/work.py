"""
What second processes do with a layer for a test.

Each function takes a layer, and returns what JSON can hold. A message that ends
reading is END.
"""

import asyncio
import os
import threading

# No wait is longer, in seconds; only that of a failing test gets there.
WAIT_SECONDS = 60
WAIT = {"block": True, "timeout": WAIT_SECONDS}
END = {"end": True}


def use(layer):
    """Use all there is, and return what came, all of it as it was sent."""
    layer.send("child", {"n": 1})
    # An inbox is one process's: the parent may read one of this name.
    inbox = f"child.{os.getpid()}!"
    name = layer.new_channel(inbox)
    received = [layer.receive(["child"], **WAIT)[1]]
    thread = threading.Thread(target=layer.send, args=(name, {"n": 2}))
    thread.start()
    received.append(layer.receive([inbox], **WAIT)[1])
    thread.join()

    async def main():
        receiving = asyncio.create_task(layer.areceive(["child"], **WAIT))
        await asyncio.sleep(0)
        await layer.asend("child", {"n": 3})
        return (await receiving)[1]

    received.append(asyncio.run(main()))
    return [message["n"] for message in received]


def write(layer, writer, names, count):
    """Send numbered messages to some channels in turn."""
    for n in range(count):
        layer.send(names[n % len(names)], {"writer": writer, "n": n})


def awrite(layer, writer, names, count):
    """Do as write(), from several tasks."""

    async def main():
        sends = [
            layer.asend(names[n % len(names)], {"writer": writer, "n": n})
            for n in range(count)
        ]
        await asyncio.gather(*sends)

    asyncio.run(main())


def read(layer, channels):
    """Return [channel, writer, number] of what comes before END."""
    received = []
    while True:
        pairs = layer.receive_batch(channels, 3, **WAIT)
        if not pairs:
            raise AssertionError(f"Nothing came after {len(received)} messages.")
        ends = [channel for channel, message in pairs if message == END]
        received += [
            [channel, message["writer"], message["n"]]
            for channel, message in pairs
            if message != END
        ]
        if ends:
            # The others are for other readers.
            for channel in ends[1:]:
                layer.send(channel, END)
            return received


def aread(layer, channels):
    """Do as read(), on an event loop and one by one."""

    async def main():
        received = []
        while True:
            channel, message = await layer.areceive(channels, **WAIT)
            if channel is None:
                raise AssertionError(f"Nothing came after {len(received)} messages.")
            if message == END:
                return received
            received.append([channel, message["writer"], message["n"]])

    return asyncio.run(main())


def fill(layer, name):
    """Send until a channel is full; return how many messages it took."""
    for n in range(1000):
        try:
            layer.send(name, {"n": n})
        except layer.ChannelFull:
            return n


def drain(layer, channels):
    """Return [channel, message] of all that waits."""
    received = []
    while (pair := layer.receive(channels))[0] is not None:
        received.append(list(pair))
    return received


def join(layer, group, prefix, count, ready):
    """
    Add new channels of an inbox to a group, and send their names to ``ready``.

    Return what they receive, [channel, message] of each before END.
    """
    names = [layer.new_channel(prefix) for _ in range(count)]
    for name in names:
        layer.group_add(group, name)
    layer.send(ready, {"names": names})
    received = []
    while (pair := layer.receive([prefix], **WAIT))[1] != END:
        received.append(list(pair))
    # What it counted of the members is known to all then.
    layer.close()
    return received


def change_group(layer, group, added, discarded, message):
    """Add and discard members, whoever's they are, then send to the group."""
    for name in added:
        layer.group_add(group, name)
    for name in discarded:
        layer.group_discard(group, name)
    layer.send_group(group, message)


def send_to(layer, names, message):
    """Send a message to each of some channels; return the errors' names."""
    results = layer.send_batch([(name, message) for name in names])
    return [None if error is None else type(error).__name__ for error in results]


def close_foreign(layer, name):
    """Close a name of another process; return why that was refused."""
    try:
        layer.close_channel(name)
    except TypeError as error:
        return str(error)
    return "It was closed."


def name_channels(layer, pattern, count):
    """Return so many new names."""
    return [layer.new_channel(pattern) for _ in range(count)]


def count(layer, name):
    """Return the counters of a channel, or of all."""
    return layer.statistics(name)


def flush(layer):
    """Drop everything."""
    layer.flush()


def put_back(layer, channels, count):
    """Take so many messages and give them back; return the results."""
    pairs = layer.receive_batch(channels, count)
    return [str(error) for error in layer.put_back(pairs) if error is not None]


def wait_and_leave(layer, channels, ready):
    """Be about to wait for a moment, more than once, and get nothing."""
    layer.send(ready, {})
    for _ in range(3):
        if layer.receive(channels, block=True, timeout=0.01)[0] is not None:
            raise AssertionError("There was a message.")
