"""
Workers: threads that receive messages and run consumers.

In: messages from the layer, or straight from a connection's lane.
Out: calls of consumers, and what they sent once they succeeded.
"""

import logging
import queue
import signal
import threading
import time
from fnmatch import fnmatchcase

from django.channels.exceptions import (
    ChannelFull,
    ChannelSocketException,
    ConsumeLater,
    LayerUnavailable,
)
from django.channels.message import Message
from django.channels.outbox import Outbox, send_patiently
from django.channels.signals import (
    consumer_finished,
    consumer_started,
    worker_process_ready,
    worker_ready,
)

# Seconds that a receive waits; stop() ends it sooner while the layer works.
RECEIVE_SECONDS = 5.0
# Seconds until a receive is tried again after the layer failed, and the most.
FIRST_BACKOFF_SECONDS = 0.1
LAST_BACKOFF_SECONDS = 5.0
# Seconds before a message whose consumer raised ConsumeLater is sent again.
RETRY_DELAY_SECONDS = 0.05
# How often a message whose consumer raised ConsumeLater is tried again.
MESSAGE_RETRIES = 10
# The key that counts those tries in a message's content.
RETRIES_KEY = "__retries__"

logger = logging.getLogger("django.channels.worker")


class Worker:
    """
    Runs the consumers of one layer, a message at a time.

    ``channel_layer`` is a ChannelLayerWrapper; ``callback(channel, message)``
    is called before each consumer. ``only_channels`` and ``exclude_channels``
    are globs that choose among the channels of the routing: first only, then
    exclude.
    """

    def __init__(
        self,
        channel_layer,
        callback=None,
        message_retries=MESSAGE_RETRIES,
        only_channels=None,
        exclude_channels=None,
    ):
        self.channel_layer = channel_layer
        self.callback = callback
        self.message_retries = message_retries
        self.only_channels = only_channels
        self.exclude_channels = exclude_channels
        self.termed = threading.Event()
        # A channel of its own, on which stop() wakes it.
        self._wake_channel = channel_layer.new_channel("worker.wake?")

    def apply_channel_filters(self, channels):
        """Return the sorted names among ``channels`` that this worker takes."""
        return sorted(
            name
            for name in channels
            if (not self.only_channels or _matches(name, self.only_channels))
            and not _matches(name, self.exclude_channels or ())
        )

    def ready(self):
        """Tell that this worker is about to receive."""
        worker_ready.send(sender=type(self))

    def stop(self):
        """Have run() return when the current consumer has finished."""
        self.termed.set()
        try:
            self.channel_layer.send(self._wake_channel, {})
        except LayerUnavailable as error:
            # Then nothing keeps the worker: each of its reads fails, too.
            logger.warning(
                "Cannot wake a worker of layer %s: %s", self.channel_layer, error
            )
        except Exception:
            logger.exception("Cannot wake a worker of layer %s.", self.channel_layer)

    def run(self):
        """
        Receive and consume messages until stop() is called.

        Faults of the layer are logged and tried again; nothing that a consumer
        raises ends it.
        """
        channels = self.apply_channel_filters(self.channel_layer.router.channels)
        if not channels:
            logger.error("No channel of the routing is left for this worker.")
            return
        backoff = FIRST_BACKOFF_SECONDS
        while not self.termed.is_set():
            try:
                channel, content = self.channel_layer.receive(
                    [*channels, self._wake_channel], block=True, timeout=RECEIVE_SECONDS
                )
            except Exception as error:
                _log_layer_fault(self.channel_layer, error)
                self.termed.wait(backoff)
                backoff = min(backoff * 2, LAST_BACKOFF_SECONDS)
                continue
            backoff = FIRST_BACKOFF_SECONDS
            if channel is not None and channel != self._wake_channel:
                self.consume(channel, content)

    def consume(self, channel, content):
        """
        Route one message, run its consumer and send what it sent.

        Whatever goes wrong is logged; a client that waits for an answer to
        websocket.connect or http.request gets one.
        """
        try:
            self._consume(channel, content)
        except BaseException as error:
            if _is_users_interrupt(error):
                raise
            logger.exception("Cannot process a message on %s.", channel)
            self._answer_failure(channel, content)

    def _consume(self, channel, content):
        retries = content.pop(RETRIES_KEY, 0)
        message = Message(content, channel, self.channel_layer)
        found = self.channel_layer.router.match(message)
        if found is None:
            logger.error(
                "Could not find match for message on %s! Check your routing.", channel
            )
            return
        consumer, kwargs = found
        if self.callback:
            self.callback(channel, message)
        consumer_started.send(sender=type(self), environ={})
        try:
            self._run(consumer, message, kwargs)
        except ChannelSocketException as action:
            self._act(consumer, message, action)
        except ConsumeLater:
            self._retry(channel, content, retries)
        except BaseException as error:
            if _is_users_interrupt(error):
                raise
            logger.exception(
                "Error processing message on %s with consumer %s:",
                channel,
                _dotted_name(consumer),
            )
            self._answer_failure(channel, content)
        finally:
            consumer_finished.send(sender=type(self))

    def _run(self, consumer, message, kwargs):
        outbox = Outbox()
        with outbox.collecting():
            consumer(message, **kwargs)
        outbox.flush()

    def _act(self, consumer, message, action):
        """Do to the connection what its consumer asked for, where that is legal."""
        outbox = Outbox()
        try:
            with outbox.collecting():
                action.run(message)
        except Exception:
            logger.exception(
                "Error processing message on %s with consumer %s:",
                message.channel,
                _dotted_name(consumer),
            )
            self._answer_failure(message.channel.name, message.content)
        else:
            outbox.flush()

    def _retry(self, channel, content, retries):
        if retries >= self.message_retries:
            logger.warning(
                "Exceeded number of retries for message on channel %s: dropped after "
                "%d.",
                channel,
                retries,
            )
            return
        self.termed.wait(RETRY_DELAY_SECONDS)
        again = {**content, RETRIES_KEY: retries + 1}
        send_patiently(self.channel_layer, [(channel, again)])

    def _answer_failure(self, channel, content):
        """Have a client that waits for an answer hear that there is none."""
        if channel == "websocket.connect":
            self._reply(content, {"accept": False})
        elif channel == "http.request":
            headers = [[b"Content-Type", b"text/plain; charset=utf-8"]]
            body = b"Internal Server Error\n"
            self._reply(content, {"status": 500, "headers": headers, "content": body})

    def _reply(self, content, reply):
        try:
            self.channel_layer.send(content["reply_channel"], reply)
        except ChannelFull:
            logger.error("No room for a reply to %s.", content.get("path"))
        except Exception:
            logger.exception("Cannot reply to %s.", content.get("path"))


def _log_layer_fault(channel_layer, error):
    """Log why nothing can be received; a store that is away needs no traceback."""
    away = isinstance(error, LayerUnavailable)
    logger.error(
        "Cannot receive from layer %s: %s",
        channel_layer,
        error,
        exc_info=None if away else error,
    )


class WorkerGroup:
    """
    Several workers in threads of this process. See Worker for the arguments.
    """

    def __init__(self, channel_layer, n_threads=1, **options):
        self.workers = [Worker(channel_layer, **options) for _ in range(n_threads)]
        self._threads = []
        # Unlike an Event, it can be put to while a signal interrupts the get.
        self._stopped = queue.SimpleQueue()

    def start(self):
        """Start the threads, and tell that they are ready."""
        worker_process_ready.send(sender=Worker)
        for number, worker in enumerate(self.workers, 1):
            thread = threading.Thread(
                target=self._run, args=(worker,), name=f"channels-worker-{number}"
            )
            thread.daemon = True
            self._threads.append(thread)
            thread.start()

    def stop(self, timeout):
        """
        Let running consumers finish, for ``timeout`` seconds at the most.

        Return whether they did. What no consumer has begun stays on the layer.
        """
        deadline = time.monotonic() + timeout
        for worker in self.workers:
            worker.stop()
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def stop_on_signals(self):
        """Have SIGTERM and SIGINT end run(). Call it on the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *args: self._stopped.put(None))

    def run(self, timeout):
        """
        Work until a signal says to stop, then stop within ``timeout`` seconds.

        Return whether every running consumer could finish.
        """
        self.start()
        self._stopped.get()
        return self.stop(timeout)

    def _run(self, worker):
        worker.ready()
        worker.run()


def _is_users_interrupt(error):
    """
    Return whether it is Ctrl-C.

    Whatever else a consumer raises, SystemExit included, must not end the thread
    that the next consumers need.
    """
    on_main_thread = threading.current_thread() is threading.main_thread()
    return isinstance(error, KeyboardInterrupt) and on_main_thread


def _dotted_name(consumer):
    """Return where a consumer is defined: a function, a class or an instance."""
    named = consumer if hasattr(consumer, "__qualname__") else type(consumer)
    return f"{named.__module__}.{named.__qualname__}"


def _matches(name, globs):
    return any(fnmatchcase(name, glob) for glob in globs)
