"""
Requests on their way to a channel that may be full.

In: messages of the connections in http.py. Out: a dispatcher's send_batch().

The requests of an event loop stand in one line. What comes in one turn of the
loop, or while others are on their way, goes out together; what finds no room is
tried again, first come, first served, until nobody was served for a while.
"""

import asyncio
import weakref
from collections import deque
from itertools import islice

from django.channels.backoff import FIRST_RETRY_SECONDS, Backoff
from django.channels.exceptions import ChannelFull, LayerUnavailable
from django.channels.interface.dispatch import begin, finish

# Requests that wait at the most; more find no room at once.
LINE_LIMIT = 4000
# How often it is tried at least: a machine may have stood still for a while.
LEAST_TRIES = 5
# Requests that are sent at once, and that are tried when there was no room.
BATCH_LIMIT = 100
RETRY_LIMIT = 8
# Seconds until a channel that stays full is tried again, at the most.
LAST_RETRY_SECONDS = 0.01


class Place:
    """A message's place in a line; ``is_sent`` tells whether it was sent."""

    def __init__(self, lane, message, seconds, most):
        self.lane = lane
        self.message = message
        # How long it waits while nobody is served, and in any case.
        self.seconds = seconds
        self.most = most
        self.is_sent = False
        # How often it was tried in vain, and why the last time.
        self.tries = 0
        self.reason = None
        # Is it on its way just now?
        self.is_moving = False
        self.future = asyncio.get_running_loop().create_future()
        # Whom a cancelled sender waits with for the end of what has begun.
        self.ended = None

    def end(self, error=None):
        """Tell the sender what came of it."""
        self.is_sent = error is None
        self.is_moving = False
        for future in (self.future, self.ended):
            if future is None or future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    async def wait_for_end(self):
        """Wait for what has begun, after ``future`` was cancelled."""
        if self.is_moving:
            self.ended = asyncio.get_running_loop().create_future()
            await self.ended

    def forget(self):
        """Forget an error, which else would keep the place, and what it is for."""
        self.future = self.ended = self.reason = None


class Line:
    """The messages of one event loop that go to one channel."""

    def __init__(self, dispatcher, channel, limit=LINE_LIMIT):
        self._dispatcher = dispatcher
        self._channel = channel
        self._limit = limit
        self._places = deque()
        self._task = None
        # When somebody was served the last time.
        self._moved = 0

    async def send(self, place):
        """
        Send a message when its turn comes and there is room.

        Raise ChannelFull if there is none in time, or what else keeps it from
        being sent. When the caller is cancelled, ``place.is_sent`` is true if it
        was sent all the same.
        """
        if self._limit is not None and len(self._places) >= self._limit:
            raise ChannelFull(
                f"{self._limit} messages wait for room on {self._channel} already."
            )
        place.entered = self._now()
        self._places.append(place)
        if self._task is None:
            self._task = begin(self._move())
        try:
            await place.future
        except asyncio.CancelledError:
            if place.is_moving:
                await finish(place.wait_for_end())
            elif place in self._places:
                self._places.remove(place)
            raise
        finally:
            place.forget()

    async def _move(self):
        """Send what stands in the line until nothing does."""
        limit, pauses = BATCH_LIMIT, Backoff(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS)
        try:
            while self._places:
                if await self._send(limit):
                    limit = min(limit * 2, BATCH_LIMIT)
                    pauses.reset()
                    continue
                self._expire()
                if self._places:
                    limit = RETRY_LIMIT
                    await asyncio.sleep(pauses.next())
        except asyncio.CancelledError:
            # As all tasks are when their loop ends: nobody else moves the rest.
            while self._places:
                self._places.popleft().end(
                    LayerUnavailable(f"The server ends: {self._channel} is not read.")
                )
            raise
        finally:
            self._task = None

    async def _send(self, limit):
        """Send the first ones; return whether there was room for all of them."""
        places = list(islice(self._places, limit))
        for place in places:
            place.is_moving = True
        messages = [(place.lane, place.message) for place in places]
        return self._settle(places, await self._try_to_send(messages))

    def _settle(self, places, results):
        """Tell the first ones what came of it; return whether all had room."""
        # Not where it is awaited: an error would keep itself, and them.
        if None in results:
            self._moved = self._now()
        refused = []
        for place, error in zip(places, results):
            self._places.popleft()
            if not isinstance(error, ChannelFull):
                place.end(error)
            elif not place.future.cancelled():
                place.is_moving = False
                place.tries += 1
                place.reason = error
                refused.append(place)
            else:
                place.end(error)
        self._places.extendleft(reversed(refused))
        return not refused

    async def _try_to_send(self, messages):
        """Return None or the error of each."""
        try:
            return await self._dispatcher.send_batch(self._channel, messages)
        except Exception as error:
            return [error] * len(messages)

    def _expire(self):
        """Give up the first ones if the channel is full for too long."""
        now = self._now()
        while self._places:
            place = self._places[0]
            waits = now - place.entered
            stalled = now - max(self._moved, place.entered) >= place.seconds
            if place.tries < LEAST_TRIES or not stalled and waits < place.most:
                return
            self._places.popleft().end(place.reason)

    def _now(self):
        return asyncio.get_running_loop().time()


class Lines:
    """
    The lines of all event loops that a channel is sent to from.

    No more than ``limit`` messages stand in each; None is no limit.
    """

    def __init__(self, dispatcher, channel, limit=LINE_LIMIT):
        self._dispatcher = dispatcher
        self._channel = channel
        self._limit = limit
        self._lines = weakref.WeakKeyDictionary()

    def here(self):
        """Return the line of the running loop."""
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            line = self._lines[loop] = Line(
                self._dispatcher, self._channel, self._limit
            )
        return line
