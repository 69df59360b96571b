"""
Loops for programs that work on what comes on named channels.

In: messages from the layer, through receiving.py. Out: each of them to the body
of a ``for`` or an ``async for``, which answers on its reply channel.

Provisional, as all of django.channels.
"""

import logging
from collections import deque
from contextlib import ExitStack

from asgiref.sync import sync_to_async

from django.channels.backends.options import check_limit
from django.channels.layers import DEFAULT_CHANNEL_LAYER, channel_layers
from django.channels.message import Message
from django.channels.receiving import Receiver, stopping_on_signals
from django.db import close_old_connections

__all__ = ["alisten", "listen"]

logger = logging.getLogger("django.channels.receiving")


def listen(
    *channels,
    alias=DEFAULT_CHANNEL_LAYER,
    channel_layer=None,
    batch=1,
    handle_signals=True,
):
    """
    Return an iterable of the Messages that come on some channels.

    It waits for the next one until its method stop() is called, from any
    thread, or SIGTERM or Ctrl-C comes while the main thread iterates, which
    ``handle_signals=False`` leaves alone. The body of the loop then finishes
    with the message it has. Up to ``batch`` messages are fetched at a time; those
    that no body has begun are put back, however the loop ends. Faults of the
    layer are logged and waited out. ``alias`` names the layer in CHANNEL_LAYERS;
    ``channel_layer`` is the layer itself and wins. Raise TypeError for a name
    that cannot be received from, and a ``batch`` that is no int of at least 1.
    """
    layer = channel_layer or channel_layers[alias]
    return _Listener(layer, channels, batch, handle_signals)


def alisten(
    *channels,
    alias=DEFAULT_CHANNEL_LAYER,
    channel_layer=None,
    batch=1,
    handle_signals=True,
):
    """
    See listen(). Ends in order when its task is cancelled, too.

    Ctrl-C is left to asyncio.run(), which cancels the task.
    """
    layer = channel_layer or channel_layers[alias]
    return _AsyncListener(layer, channels, batch, handle_signals)


class _BaseListener:
    """The channels and how to stop; each instance is iterated over once."""

    def __init__(self, channel_layer, channels, batch, handle_signals):
        if not channels:
            raise TypeError("There must be at least one channel to listen on.")
        if not hasattr(channel_layer, "receive_batch"):
            raise TypeError(
                f"channel_layer must be a channel layer, not {channel_layer!r}; the "
                f"name of one is its alias."
            )
        check_limit(batch, "batch")
        self._receiver = Receiver(channel_layer, channels, batch)
        self._handle_signals = handle_signals
        # (channel, content) pairs that were fetched and not begun.
        self._waiting = deque()

    def stop(self):
        """End the loop after the message that its body has."""
        self._receiver.stop()

    def _opened(self):
        """Return the context of a loop, whose end puts back what waits."""
        context = ExitStack()
        context.callback(self._receiver.close)
        context.callback(self._receiver.put_back, self._waiting)
        if self._handle_signals:
            context.enter_context(stopping_on_signals(self.stop))
        return context

    def _take(self):
        """Return the next Message that waits, None if it is none."""
        channel, content = self._waiting.popleft()
        try:
            return Message(content, channel, self._receiver.channel_layer)
        except TypeError as error:
            logger.error("Dropped a message on %s: %s", channel, error)


class _Listener(_BaseListener):
    def __iter__(self):
        receiver = self._receiver
        with self._opened():
            while not receiver.stopped:
                if not self._waiting:
                    self._waiting.extend(receiver.receive() or ())
                    continue
                close_old_connections()
                if message := self._take():
                    yield message
                    message = None
                    close_old_connections()


class _AsyncListener(_BaseListener):
    _context = None

    def __aiter__(self):
        return _AsyncMessages(self)

    async def step(self):
        """Return the next Message; raise StopAsyncIteration at the end."""
        try:
            if self._context is None:
                self._context = self._opened()
            else:
                await _aclose_old_connections()
            message = await self._next()
        except BaseException:
            self.end()
            raise
        if message is None:
            self.end()
            raise StopAsyncIteration
        return message

    def end(self):
        """Put back what waits, in one call: a task may be cancelled twice."""
        if self._context is not None:
            self._context.close()

    async def _next(self):
        """Return the next Message, None at the end."""
        receiver = self._receiver
        while not receiver.stopped:
            if not self._waiting:
                self._waiting.extend(await receiver.areceive() or ())
                continue
            # Whatever can be cancelled comes before a message is taken.
            await _aclose_old_connections()
            if not receiver.stopped and (message := self._take()):
                return message


class _AsyncMessages:
    """
    What an ``async for`` alone holds, and lets go of when it is left.

    An asynchronous generator would be closed some time later, or never when its
    event loop ends, and lose what it has fetched. No coroutine refers to this: a
    traceback that somebody keeps would keep it.
    """

    def __init__(self, listener):
        self._listener = listener

    def __anext__(self):
        return self._listener.step()

    def __del__(self):
        self._listener.end()


async def _aclose_old_connections():
    # In the thread in which the asynchronous methods of the ORM run.
    await sync_to_async(close_old_connections)()
