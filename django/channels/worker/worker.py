"""
Workers: threads that take messages and have consumers run.

In: messages that prefetch.py fetched from the layer, or straight from a
connection's lane. Out: runs of consumers, see consuming.py.
"""

import _thread
import logging
import signal
import socket
import threading
import time
from contextlib import suppress
from fnmatch import fnmatchcase

from django.channels.own_signals import set_own_handler
from django.channels.signals import worker_process_ready, worker_ready
from django.channels.worker.consuming import Consuming
from django.channels.worker.coroutines import ConsumerLoop
from django.channels.worker.prefetch import Prefetch
from django.channels.worker.sender import DirectSender, Sender
from django.channels.worker.watch import Watch

# How often a message whose consumer raised ConsumeLater is tried again.
MESSAGE_RETRIES = 10
# Seconds that coroutines have to end when a worker alone was stopped.
COROUTINE_SECONDS = 30.0
# Seconds that what consumers sent has to leave, however late it is.
SENDING_SECONDS = 1.0

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


class WorkerGroup:
    """
    Several workers in threads of this process. See Worker for the options.

    ``worker_class`` is what they are instances of, a Worker unless it is given.
    ``journal`` is a Journal for what they have fetched, ``outgoing`` an Outgoing for
    what they sent. ``on_overdue()`` is called when a consumer has run for
    ``time_limit`` seconds; without it another thread takes that one's place.
    """

    def __init__(
        self,
        channel_layer,
        n_threads=1,
        journal=None,
        outgoing=None,
        time_limit=None,
        on_overdue=None,
        **options,
    ):
        self.channel_layer = channel_layer
        self._worker_class = options.pop("worker_class", Worker)
        spans = channel_layer.spans_processes
        self.sender = Sender(outgoing) if spans else DirectSender()
        self.coroutines = ConsumerLoop()
        self._options = {"signal_handlers": False, **options}
        self.prefetch = None
        channels = self._make_worker().get_channels()
        self.prefetch = Prefetch(
            channel_layer, channels, n_threads, journal, self.coroutines
        )
        self.coroutines.choose_thread = self.prefetch.choose_thread
        self.workers = [self._make_worker(number) for number in range(n_threads)]
        self._watch = Watch(self, journal, time_limit, on_overdue)
        self._is_ending = False
        self._ended = threading.Event()
        # What wakes a wait for signals, before Python handles them: two sockets.
        self._waking = self._woken = None

    @property
    def threads(self):
        """The threads of the workers, also those that have ended."""
        return self._watch.threads

    def start(self):
        """Start the threads, and tell that they are ready."""
        worker_process_ready.send_robust(sender=Worker)
        self._watch.start()

    def stop(self, timeout):
        """
        Let running consumers finish, for ``timeout`` seconds at the most.

        Return whether they did. What no consumer has begun goes back onto the
        layer; what consumers sent has left.
        """
        deadline = time.monotonic() + timeout

        def left():
            return max(0, deadline - time.monotonic())

        # First, nothing more is begun. What runs may still send.
        for worker in self.workers:
            worker.termed = True
        self.prefetch.stop()
        logger.debug("Beginning nothing more; what runs has %.1f s.", left())
        done = self.coroutines.stop(left())
        # Until then, coroutines had the threads do what is synchronous.
        self.prefetch.end()
        done &= self._watch.stop(left)
        # One of them may have begun a coroutine in the last moment.
        self.coroutines.choose_thread = self.coroutines.get_own_thread
        done &= self.coroutines.stop(left())
        done &= self.sender.stop(max(SENDING_SECONDS, left()))
        if done:
            self.prefetch.close()
        return done

    def stop_on_signals(self):
        """Have SIGTERM and SIGINT end run(). Call it on the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            set_own_handler(number, lambda *args: self.end())
        self.wake_on_signals()

    def wake_on_signals(self):
        """Have handlers of signals called while run() waits on the main thread."""
        # One that comes as the wait begins would find nobody awake otherwise.
        self._waking, self._woken = socket.socketpair()
        self._waking.setblocking(False)
        signal.set_wakeup_fd(self._waking.fileno(), warn_on_full_buffer=False)

    def end(self):
        """Have run() stop and return. A signal handler may call it."""
        self._is_ending = True
        if self._waking is None:
            self._ended.set()
            return
        # Full, it wakes all the same; closed, nobody waits any more.
        with suppress(OSError):
            self._waking.send(b"\0")

    def run(self, timeout):
        """
        Work until end() is called, then stop within ``timeout`` seconds.

        Return whether every running consumer could finish.
        """
        self.start()
        return self.wait(timeout)

    def wait(self, timeout):
        """See run(). The group was started before."""
        if self._waking is None:
            self._ended.wait()
        else:
            with self._waking, self._woken:
                while not self._is_ending:
                    self._woken.recv(4096)
                signal.set_wakeup_fd(-1)
        return self.stop(timeout)

    def replace(self, worker):
        """Return another worker in the place of one."""
        index = self.workers.index(worker)
        self.workers[index] = self._make_worker(index)
        return self.workers[index]

    def _make_worker(self, place=0):
        worker = self._worker_class(self.channel_layer, **self._options)
        worker.place = place
        worker.prefetch = self.prefetch
        worker.sender = self.sender
        worker.coroutines = self.coroutines
        return worker


def _on_main_thread():
    return threading.current_thread() is threading.main_thread()


def _matches(name, globs):
    return any(fnmatchcase(name, glob) for glob in globs)
