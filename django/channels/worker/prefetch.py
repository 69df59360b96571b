"""
What the workers of one process have fetched and not begun.

In: batches of the layer, and jobs of coroutines. Out: one message or job at a time,
to the threads of worker.py. A thread that finds nothing here fetches for all of
them, so that a message that comes alone passes no other thread.
"""

import asyncio
import logging
import threading
import time
from collections import deque

from django.channels.receiving import RECEIVE_SECONDS, Receiver
from django.channels.worker.journal import LIMIT
from django.channels.worker.synccode import Job

# Messages that are fetched together at the most.
FETCHED_MESSAGES = 100
# Seconds of work that are fetched together at the most.
FETCHED_SECONDS = 0.05
# Seconds after which messages go back that wait while all threads are busy.
WAITING_SECONDS = 0.25
# Seconds to wait for room for coroutines before others are looked for again.
FULL_SECONDS = 0.02
# The weight of the newest run in the mean time that a run takes.
NEWEST_WEIGHT = 0.2

logger = logging.getLogger("django.channels.worker")


class Prefetch:
    """
    Fetches from ``channels`` of a layer for ``threads`` threads.

    ``journal`` is a Journal for what waits here. While ``coroutines``, a
    ConsumerLoop, has no room, nothing is fetched from the channels that were added
    to ``async_channels``.
    """

    def __init__(
        self, channel_layer, channels, threads=1, journal=None, coroutines=None
    ):
        self._layer = channel_layer
        self._channels = channels
        self._threads = threads
        self._journal = journal
        self._coroutines = coroutines
        self._receiver = Receiver(channel_layer, channels)
        self._changed = threading.Condition(threading.Lock())
        self._messages = deque()
        # How many messages the journal has, and until when they are alive.
        self._recorded = 0
        self._expires = 0
        self._waits_since = 0
        # The jobs of each thread, and the threads that have none.
        self._jobs = [deque() for _ in range(threads)]
        self._idle = set()
        # The thread that waits for the layer, and is a job about to end its wait?
        self._fetcher = None
        self._is_waking = False
        # How many threads put messages back that they took from here.
        self._giving_back = 0
        self._is_stopped = self._is_ended = False
        # Seconds that a run takes: a guess that fetches one message for each
        # thread, until more is known.
        self._run_seconds = FETCHED_SECONDS
        self.async_channels = set()

    def next(self, place=0):
        """
        Wait for a message; return (channel, content), or None after end().

        (None, function) is a job of a coroutine instead: a function to call.
        ``place`` is the thread's number among ``threads``.
        """
        jobs = self._jobs[place]
        while True:
            with self._changed:
                if jobs:
                    return None, jobs.popleft().run
                if self._is_ended:
                    return None
                if self._messages:
                    if (pair := self._begin_locked()) is not None:
                        return pair
                    continue
                if self._is_stopped or self._fetcher is not None:
                    self._idle.add(place)
                    self._changed.wait()
                    self._idle.discard(place)
                    continue
                self._fetcher = place
            if (pair := self._fetch()) is not None:
                return pair

    def choose_thread(self):
        """
        Choose a thread for the jobs of a coroutine, which calls this.

        Return a function like Executor.submit().
        """
        with self._changed:
            place = self._fetcher
            if place is None:
                place = min(range(len(self._jobs)), key=lambda n: len(self._jobs[n]))
            # Best is one that has nothing to do at all.
            place = min(self._idle, default=place)

        def submit(function, *args):
            job = Job(function, args)
            with self._changed:
                self._jobs[place].append(job)
                if place in self._idle:
                    self._changed.notify_all()
                is_to_wake = self._fetcher == place and not self._is_waking
                self._is_waking |= is_to_wake
            if is_to_wake:
                self._waking = asyncio.ensure_future(self._receiver.awake())
            return job.future

        return submit

    @property
    def next_seconds(self):
        """The seconds that the next run is likely to take, None if none waits here."""
        return self._run_seconds if self._messages else None

    def note_run(self, seconds):
        """Take into account how long a run took."""
        self._run_seconds += (seconds - self._run_seconds) * NEWEST_WEIGHT

    def give_back(self, pairs):
        """Put messages back that are fetched and not begun."""
        self._receiver.put_back(pairs)

    def give_back_waiting(self):
        """Put back what waits here for a thread for too long."""
        with self._changed:
            waits = time.monotonic() - self._waits_since
            pairs = self._drain_locked() if waits >= WAITING_SECONDS else []
        self._give_back_taken(pairs)

    def stop(self, timeout=0):
        """
        Fetch nothing more, and put back what waits here. Jobs are still done.

        Wait until other threads have put back what they have, ``timeout`` seconds at
        the most.
        """
        with self._changed:
            self._is_stopped = True
            pairs = self._drain_locked()
        self._receiver.stop()
        self._give_back_taken(pairs)
        with self._changed:
            self._changed.wait_for(self._is_quiet_locked, timeout)

    def end(self):
        """Have next() return None when the jobs that wait are done."""
        with self._changed:
            self._is_stopped = self._is_ended = True
            self._changed.notify_all()

    def close(self):
        """Give up what the layer has for it, once every next() has returned."""
        self._receiver.close()

    def _fetch(self):
        """Fetch; return the first message, and wake others for the rest."""
        pairs, first = [], None
        try:
            pairs = self._receive()
        finally:
            with self._changed:
                self._fetcher = None
                self._is_waking = False
                back = pairs if self._is_stopped else []
                if pairs and not back:
                    first, *rest = pairs
                    self._keep_locked(rest)
                self._giving_back += bool(back)
                # One of the others fetches next; stop() may wait for this one.
                wakes = self._threads + 1 if self._is_stopped else max(1, len(pairs))
                self._changed.notify(wakes)
        self._give_back_taken(back)
        return first

    def _give_back_taken(self, pairs):
        """See give_back(). They count as taken from here until they are back."""
        if not pairs:
            return
        try:
            self.give_back(pairs)
        finally:
            with self._changed:
                self._giving_back -= 1
                self._changed.notify_all()

    def _is_quiet_locked(self):
        return self._fetcher is None and not self._giving_back

    def _receive(self):
        share = FETCHED_SECONDS / max(self._run_seconds, 1e-9)
        limit = int(min(max(1, share) * self._threads, FETCHED_MESSAGES, LIMIT))
        room = self._coroutines.room if self.async_channels else limit
        self._receiver.limit = min(limit, room) or limit
        if room:
            self._receiver.channels = self._channels
            return self._receiver.receive(RECEIVE_SECONDS) or []
        # Others go on; room is waited for only when there are none.
        others = [c for c in self._channels if c not in self.async_channels]
        self._receiver.channels = others
        pairs = self._receiver.receive(0) or []
        if not pairs:
            self._coroutines.wait_for_room(FULL_SECONDS)
        return pairs

    def _keep_locked(self, pairs):
        if self._journal is not None and (pairs or self._recorded):
            self._journal.record(pairs)
        self._recorded = len(pairs)
        self._messages.extend(pairs)
        self._waits_since = time.monotonic()
        self._expires = self._waits_since + self._layer.expiry

    def _begin_locked(self):
        """Return the next message, None if it is too old by now."""
        if self._journal is not None:
            self._journal.begin(self._recorded - len(self._messages))
        pair = self._messages.popleft()
        self._waits_since = now = time.monotonic()
        if now < self._expires:
            return pair
        logger.warning(
            "Dropped a message on %s: it expired while this process stood still.",
            pair[0],
        )
        return None

    def _drain_locked(self):
        pairs, self._messages = list(self._messages), deque()
        if self._journal is not None and pairs:
            # First: it must not come twice if this process is killed now.
            self._journal.record([])
            self._recorded = 0
        self._giving_back += bool(pairs)
        return pairs
