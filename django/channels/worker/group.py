"""
Groups of workers: what the threads of one process share, and how they end.

In: a layer and how many threads, from runworker.py, asgi.py or a test. Out: workers,
see worker.py, that run until somebody says to end.
"""

import logging
import signal
import socket
import threading
import time
from contextlib import suppress

from django.channels.own_signals import set_own_handler
from django.channels.signals import worker_process_ready
from django.channels.worker.coroutines import ConsumerLoop
from django.channels.worker.prefetch import Prefetch
from django.channels.worker.sender import EagerSender, Sender
from django.channels.worker.watch import Watch
from django.channels.worker.worker import Worker

# Seconds that what consumers sent has to leave, however late it is.
SENDING_SECONDS = 1.0

logger = logging.getLogger("django.channels.worker")


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
        self.sender = Sender(outgoing) if spans else EagerSender()
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
        # Called at the end, once all is back on the layer that has not begun.
        self.on_given_back = None
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
        self.prefetch.stop(left())
        if self.on_given_back is not None:
            self.on_given_back()
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
