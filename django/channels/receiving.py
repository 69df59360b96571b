"""
The receiving end of a loop: from some channels, until somebody says stop.

In: messages from the layer. Out: lists of (channel, content), for background.py
and delay/worker.py.
"""

import _thread
import asyncio
import concurrent.futures
import logging
import signal
import threading
from contextlib import contextmanager, suppress

from django.channels.backends.options import check_limit
from django.channels.backoff import Backoff
from django.channels.exceptions import LayerUnavailable
from django.channels.names import new_name, validate_receivable
from django.channels.own_signals import set_own_handler

# Seconds that a receive waits; stop() ends it sooner while the layer works.
RECEIVE_SECONDS = 5.0
# Seconds until something is tried again after a fault, and the most.
FIRST_BACKOFF_SECONDS = 0.1
LAST_BACKOFF_SECONDS = 5.0

logger = logging.getLogger("django.channels.receiving")


class Receiver:
    """
    Receives from channels of a layer, up to ``limit`` messages at a time.

    Faults of the layer are logged and waited out. Raise TypeError for a name
    that cannot be received from, and a limit that is no int of at least 1.
    """

    def __init__(self, channel_layer, channels, limit=1):
        self.channel_layer = channel_layer
        self.channels = [validate_receivable(name) for name in channels]
        check_limit(limit)
        self.limit = limit
        # Whether stop() was called.
        self.stopped = False
        # Done once waits are over; threads and event loops can wait for it.
        self._stopping = concurrent.futures.Future()
        # A channel of its own, on which stop() wakes it.
        self._wake_channel = new_name("receiver.wake?")
        self._backoff = Backoff(FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS)

    def receive(self, timeout=RECEIVE_SECONDS):
        """
        Return a list of pairs; wait up to ``timeout`` seconds for the first.

        It is empty if none came, or stop() was called. Return None if the layer
        failed; that has been logged, and a while has passed.
        """
        try:
            pairs = self.channel_layer.receive_batch(*self._wish(timeout))
        except Exception as error:
            self._log_fault(error)
            self.pause(self._backoff.next())
            return None
        return self._got(pairs)

    async def areceive(self, timeout=RECEIVE_SECONDS):
        """See receive(). A cancelled wait loses no message."""
        try:
            pairs = await self.channel_layer.areceive_batch(*self._wish(timeout))
        except Exception as error:
            self._log_fault(error)
            await self._apause(self._backoff.next())
            return None
        return self._got(pairs)

    def put_back(self, pairs):
        """Give back what was received and not worked on; log what cannot be."""
        pairs = list(pairs)
        try:
            results = self.channel_layer.put_back(pairs) if pairs else ()
        except Exception as error:
            results = [error] * len(pairs)
        for (channel, _), error in zip(pairs, results):
            if error is not None:
                logger.error("Cannot put a message back on %s: %s", channel, error)

    def stop(self):
        """
        End waits, now and from now on.

        Signal handlers may call it, and other threads.
        """
        self.stopped = True
        # Not a Thread: its start() takes locks, which the code that a signal
        # interrupts may hold. Neither may the layer be called from here.
        try:
            _thread.start_new_thread(self._wake, ())
        except RuntimeError:
            # Python 3.12.1 starts none for atexit's functions, which are called
            # when the main thread holds no lock any more.
            self._wake()

    async def awake(self):
        """End the wait of one receive(), now or in a moment."""
        try:
            await self.channel_layer.asend(self._wake_channel, {})
        except Exception as error:
            self._log_fault(error)

    def pause(self, seconds):
        """Wait for some seconds, or until stop()."""
        concurrent.futures.wait([self._stopping], seconds)

    async def _apause(self, seconds):
        stopping = asyncio.wrap_future(self._stopping)
        await asyncio.wait([stopping], timeout=seconds)

    def close(self):
        """Give up the channel on which stop() wakes it."""
        try:
            self.channel_layer.close_channel(self._wake_channel)
        except Exception as error:
            self._log_fault(error)

    def _wish(self, timeout):
        """Return the arguments of receive_batch()."""
        seconds = 0 if self.stopped else timeout
        return [*self.channels, self._wake_channel], self.limit, True, seconds

    def _got(self, pairs):
        self._backoff.reset()
        return [pair for pair in pairs if pair[0] != self._wake_channel]

    def _wake(self):
        with suppress(concurrent.futures.InvalidStateError):
            self._stopping.set_result(None)
        try:
            self.channel_layer.send(self._wake_channel, {})
        except Exception as error:
            self._log_fault(error)

    def _log_fault(self, error):
        """Log why a call failed; a store that is away needs no traceback."""
        away = isinstance(error, LayerUnavailable)
        logger.error(
            "Layer %s fails for %s: %s",
            self.channel_layer,
            ", ".join(self.channels),
            error,
            exc_info=None if away else error,
        )


@contextmanager
def stopping_on_signals(stop):
    """
    Have SIGTERM and SIGINT call ``stop()`` within the block, on the main thread.

    Only what Python does by default is replaced, and only once: the second
    signal ends the program as it would without this.
    """
    saved = {}
    if _on_main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            handler = signal.getsignal(number)
            if handler in (signal.SIG_DFL, signal.default_int_handler):
                saved[number] = handler

    def restore():
        # What is forgotten may be collected on any thread.
        while saved and _on_main_thread():
            signal.signal(*saved.popitem())

    def handle(number, frame):
        restore()
        stop()

    try:
        for number in list(saved):
            set_own_handler(number, handle)
        yield
    finally:
        restore()


def _on_main_thread():
    return threading.current_thread() is threading.main_thread()
