"""
Calls of a store on their way, for who waits without a thread.

In: what a store began, from courier.py. Out: what came of it, on an event loop.
"""

import asyncio
import contextlib
from functools import partial

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


class Landed(Flight):
    """
    A call that was carried out as soon as it was begun.

    ``rest()``, if there is one, is left to do, and may wait.
    """

    def __init__(self, result, rest=None):
        self.is_over = rest is None
        self.is_stuck = not self.is_over
        self._result = result
        self._rest = rest

    def poll(self):
        return self._result

    def conclude(self):
        self.is_over = True
        self._rest()
        return self._result


class Unsettled(Exception):
    """Raised by a flight that only conclude() can bring to an end."""


async def watch(flight, spinner):
    """Return the result of a flight, or None if a thread is to find it."""
    results = []

    def look():
        stored = flight.poll()
        if stored is not None:
            results.append(stored)
        return results

    try:
        (stored,) = await spinner.await_(look, partial(_sleep, flight))
    except Unsettled:
        return None
    return stored


async def _sleep(flight):
    """Return the result of a flight, or None, in a list."""
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
        return [await future]
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
