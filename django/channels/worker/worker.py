"""
Workers: threads that take messages and have consumers run.

In: messages that prefetch.py fetched from the layer, or straight from a
connection's lane. Out: runs of consumers, see consuming.py.
"""

import _thread
import logging
import signal
import threading
import time
from fnmatch import fnmatchcase

from django.channels.own_signals import set_own_handler
from django.channels.signals import worker_ready
from django.channels.worker.consuming import Consuming
from django.channels.worker.coroutines import ConsumerLoop
from django.channels.worker.prefetch import Prefetch
from django.channels.worker.sender import DirectSender

# How often a message whose consumer raised ConsumeLater is tried again.
MESSAGE_RETRIES = 10
# Seconds that coroutines have to end when a worker alone was stopped.
COROUTINE_SECONDS = 30.0

logger = logging.getLogger("django.channels.worker")


class Worker(Consuming):
    """
    Has the consumers of one layer run, one at a time if they are no coroutines.

    ``channel_layer`` is a ChannelLayerWrapper; ``callback(channel, message)``
    is called before each consumer. ``only_channels`` and ``exclude_channels``
    are globs that choose among the channels of the routing: first only, then
    exclude. With ``signal_handlers``, SIGTERM and SIGINT stop a run() on the
    main thread. What it shares with other workers of its process, and else has
    of its own, are its attributes ``prefetch``, ``sender`` and ``coroutines``.
    """

    def __init__(
        self,
        channel_layer,
        callback=None,
        message_retries=MESSAGE_RETRIES,
        signal_handlers=True,
        only_channels=None,
        exclude_channels=None,
    ):
        self.channel_layer = channel_layer
        self.callback = callback
        self.message_retries = message_retries
        self.signal_handlers = signal_handlers
        self.only_channels = only_channels
        self.exclude_channels = exclude_channels
        self.prefetch = None
        self.sender = DirectSender()
        self.coroutines = ConsumerLoop()
        # Whether run() is to return, or has.
        self.termed = False
        # Whether another one takes messages in its place.
        self.is_replaced = False
        # Its number among those that share ``prefetch``.
        self.place = 0
        # (since when, on which channel) a consumer runs, None in between. Without
        # a channel it is the synchronous code of a coroutine.
        self.job = None

    @property
    def in_job(self):
        """Whether a consumer runs in this worker's thread."""
        return self.job is not None

    def apply_channel_filters(self, channels):
        """Return the sorted names among ``channels`` that this worker takes."""
        return sorted(
            name
            for name in channels
            if (not self.only_channels or _matches(name, self.only_channels))
            and not _matches(name, self.exclude_channels or ())
        )

    def install_signal_handler(self):
        """
        Have SIGTERM and SIGINT stop this worker. Call it on the main thread.

        Return what did something else before, {number: handler}.
        """
        return {
            number: set_own_handler(number, self.sigterm_handler)
            for number in (signal.SIGTERM, signal.SIGINT)
        }

    def sigterm_handler(self, signo, stack_frame):
        """Have run() return when the current consumer has finished."""
        # In a thread: the code that the signal interrupts may hold locks.
        _thread.start_new_thread(self.stop, ())

    def ready(self):
        """Tell that this worker is about to receive."""
        worker_ready.send_robust(sender=type(self))

    def stop(self):
        """
        Have run() return when the current consumer has finished.

        What was fetched and has not begun goes back onto the layer.
        """
        self.termed = True
        if self.prefetch is not None:
            self.prefetch.stop()
            self.prefetch.end()

    def run(self):
        """
        Take messages and consume them until stop() is called.

        Faults of the layer are logged and tried again; nothing that a consumer
        raises ends it. Signal handlers are as before when it returns.
        """
        if self.prefetch is not None:
            self._run()
            return
        channels = self.get_channels()
        if not channels:
            logger.error("No channel of the routing is left for this worker.")
            return
        handlers = {}
        if self.signal_handlers and _on_main_thread():
            handlers = self.install_signal_handler()
        self.prefetch = Prefetch(
            self.channel_layer, channels, coroutines=self.coroutines
        )
        try:
            self._run()
        finally:
            self.stop()
            self.coroutines.stop(COROUTINE_SECONDS)
            self.prefetch.close()
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _run(self):
        take, note, now = self.prefetch.next, self.prefetch.note_run, time.monotonic
        while not self.is_replaced and (pair := take(self.place)) is not None:
            channel, content = pair
            began = now()
            self.job = began, channel
            try:
                content() if channel is None else self.begin(channel, content)
            finally:
                self.job = None
                if channel is not None:
                    note(now() - began)
                    self.sender.take_turn(self.prefetch.next_seconds)

    def get_channels(self):
        """Return the names in the routing that this worker takes."""
        return self.apply_channel_filters(self.channel_layer.router.channels)


def _on_main_thread():
    return threading.current_thread() is threading.main_thread()


def _matches(name, globs):
    return any(fnmatchcase(name, glob) for glob in globs)
