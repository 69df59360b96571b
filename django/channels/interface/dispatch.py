"""
How the messages of connections come to consumers elsewhere: by the layer.

In: messages of the connections in http.py and websocket.py. Out: the channel layer,
for workers anywhere.

A dispatcher opens a lane for each connection, and a lane that has no room for a
message says so. Those of lanes.py have messages consumed in this process.
"""

import asyncio
import logging

from django.channels.exceptions import ChannelFull, LayerUnavailable
from django.channels.interface.outages import Outages

# What says that a message cannot be sent now, and may be another time.
NO_ROOM = (ChannelFull, LayerUnavailable)

logger = logging.getLogger("django.channels.interface")


def begin(coroutine):
    """
    Return a task that runs a coroutine from the next turn of the loop on.

    That is so where the loop's own tasks are eager, too: who begins one notes it
    before it does anything, and what it notes at its end comes later.
    """
    return asyncio.Task(coroutine, loop=asyncio.get_running_loop())


async def finish(coroutine):
    """
    Return what a coroutine returns, and run it to its end in any case.

    If the caller is cancelled meanwhile, CancelledError means that the coroutine
    succeeded. What it raises comes before that, which then waits for the
    caller's next await.
    """
    task = asyncio.ensure_future(coroutine)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    try:
        if cancelled and (task.cancelled() or task.exception() is None):
            raise asyncio.CancelledError
        if cancelled:
            asyncio.current_task().cancel()
        return task.result()
    finally:
        # Else what it raised would keep it, and with it all that led here.
        del task


class LayerDispatcher:
    """Puts messages onto the layer. It is the lane of every connection."""

    # Are the messages of a lane consumed one after the other?
    keeps_order = False

    def __init__(self, channel_layer):
        self._layer = channel_layer
        self._outages = Outages()

    def open(self):
        """Return a lane for a new connection."""
        return self

    async def send(self, channel, message):
        """
        Send a message; raise one of NO_ROOM if it cannot be sent now.

        CancelledError means that it was sent: see finish().
        """
        try:
            await finish(self._layer.asend(channel, message))
        except LayerUnavailable as error:
            self._outages.note(channel, error)
            raise

    async def send_batch(self, channel, messages):
        """
        Send [(lane, message), …]; return None or the error of each.

        It is not to be cancelled.
        """
        try:
            return await self._layer.asend_batch(
                [(channel, message) for _, message in messages]
            )
        except LayerUnavailable as error:
            self._outages.note(channel, error)
            raise
        except TypeError as error:
            if len(messages) == 1:
                return [error]
        # One of them is none that a layer carries: not the others' fault.
        results = []
        for item in messages:
            results += await self.send_batch(channel, [item])
        return results

    def send_now(self, channel, message):
        """See send(). Called without an event loop."""
        self._layer.send(channel, message)

    def abandon(self):
        """Do nothing: what is on the layer is the workers'."""


class UnreachableDispatcher:
    """Refuses every message of a layer that no worker elsewhere can read."""

    # See LayerDispatcher.
    keeps_order = False

    def __init__(self, channel_layer):
        self._layer = channel_layer
        self._logged = False

    def open(self):
        """Return a lane for a new connection."""
        return self

    async def send(self, channel, message):
        """Log the reason, once, and raise LayerUnavailable."""
        raise self._get_error(channel)

    async def send_batch(self, channel, messages):
        """Log the reason, once, and return a LayerUnavailable for each."""
        return [self._get_error(channel)] * len(messages)

    def _get_error(self, channel):
        if not self._logged:
            self._logged = True
            logger.error(
                "Channel layer %s does not span processes, so that no worker can "
                "consume %s: refusing every connection. Serve get_application() "
                "instead, or configure a layer that spans processes.",
                self._layer,
                channel,
            )
        return LayerUnavailable(
            f"No worker can reach {channel} on layer {self._layer}."
        )

    def abandon(self):
        """Do nothing: nothing was sent."""
