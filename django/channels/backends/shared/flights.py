"""
Calls of a store on their way, for who waits without a thread.

In: what a store began, from courier.py. Out: what came of it, on an event loop.
"""

import asyncio
import contextlib

# How long a loop looks for what came of a call before a thread does, in seconds.
FLIGHT_SECONDS = 5


class Flight:
    """A call of a store that is on its way, for who waits without a thread."""

    # Did poll() return the result, or is conclude() called?
    is_over = False
    # Is conclude() to be called at once?
    is_stuck = False

    def fileno(self):
        """Return the descriptor that can be read when poll() may have the result."""
        raise NotImplementedError

    def poll(self):
        """Return the result, or None if it is not there; raise Unsettled."""
        raise NotImplementedError

    def conclude(self):
        """Wait for the result and return it, in a thread; raise LayerUnavailable."""
        raise NotImplementedError


class Unsettled(Exception):
    """Raised by a flight that only conclude() can bring to an end."""


async def watch(flight):
    """Return the result of a flight, or None if a thread is to find it."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    file = flight.fileno()
    timer = loop.call_later(FLIGHT_SECONDS, _look, flight, future, True)
    try:
        loop.add_reader(file, _look, flight, future)
    except NotImplementedError:
        # A loop that cannot wait for descriptors, as that of Windows.
        future.set_result(None)
    try:
        return await future
    finally:
        timer.cancel()
        with contextlib.suppress(NotImplementedError):
            loop.remove_reader(file)


def _look(flight, future, is_late=False):
    if future.done():
        return
    try:
        stored = flight.poll()
    except Unsettled:
        future.set_result(None)
    else:
        if stored is not None or is_late:
            future.set_result(stored)
