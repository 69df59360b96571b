"""
How the messages of consumers leave: each consumer's at once, or several together.

In: the outboxes of consumers that succeeded, from runs.py. Out: messages, to
patience.py.
"""

import asyncio
import logging
import math
import threading
import time
from collections import deque

from django.channels.worker.patience import PatientSender
from django.db import Error, connections

# Seconds that messages wait for those of the next consumers, if these are short, and
# after which the sender's own thread sends what no worker did.
TOGETHER_SECONDS = 0.002
LATE_SECONDS = 0.005
# Messages that wait to be sent before a consumer's thread waits for room.
WAITING_MESSAGES = 1000
# Messages that leave in one call of the layer.
BATCH_MESSAGES = 200

logger = logging.getLogger("django.channels.worker")


class DirectSender:
    """Sends what a consumer sent in the consumer's thread, before it is finished."""

    def send(self, outbox, delay=0):
        """Send what is in an outbox, after ``delay`` seconds."""
        if delay:
            time.sleep(delay)
        outbox.flush()

    async def asend(self, outbox, delay=0):
        """See send()."""
        await asyncio.sleep(delay)
        await asyncio.get_running_loop().run_in_executor(None, outbox.flush)

    def take_turn(self, next_seconds=None):
        """Do nothing: nothing waits here."""

    def stop(self, timeout):
        """Return True: nothing waits here."""
        return True


class Sender:
    """
    Sends what several consumers sent together.

    Workers do it in their turns, between two consumers, so that messages seldom
    pass another thread; one that starts with the first message does what they do
    not come to. The messages of one consumer keep their order, and so do consumers
    that end one after the other. A full channel holds up no other one: it is tried
    again, see PatientSender. ``outgoing`` is an Outgoing for what waits.
    """

    def __init__(self, outgoing=None):
        self._outgoing = outgoing
        self._changed = threading.Condition(threading.Lock())
        # What is to be sent, (layer, name, message, to_group), behind the ticket of
        # ``outgoing`` for it, and futures of coroutines that wait until all before
        # them was; since when it waits, and whether the thread is to send it now.
        self._waiting = deque()
        self._since = 0
        self._is_handed_over = False
        # What is to be sent later: [(time, send or future), …]
        self._later = []
        # Belongs to whoever is busy.
        self._patient = PatientSender()
        self._is_stopping = False
        # Does somebody send just now?
        self._is_busy = False
        self._thread = None
        # When the thread looks by itself, and whether it had a reason lately.
        self._looks_at = 0
        self._is_used = False

    def send(self, outbox, delay=0):
        """
        Have what is in an outbox sent soon, or ``delay`` seconds from now.

        Wait for room if much waits already.
        """
        with self._changed:
            while len(self._waiting) >= WAITING_MESSAGES and self._thread is not None:
                self._hand_over_locked()
                self._changed.wait()
            self._add_locked(outbox.take(), delay)

    async def asend(self, outbox, delay=0):
        """See send(). Return when it is sent."""
        future = asyncio.get_running_loop().create_future()
        with self._changed:
            self._add_locked([*outbox.take(), future], delay)
            if not delay:
                self._hand_over_locked()
        await future

    def take_turn(self, next_seconds=None):
        """
        Send what waits in this thread, if it is time to.

        ``next_seconds`` is what the next consumer is expected to take, None if no
        message is there for one.
        """
        with self._changed:
            if not self._waiting:
                return
            if self._is_busy:
                self._is_handed_over = True
                return
            if next_seconds is not None:
                if next_seconds > TOGETHER_SECONDS:
                    self._hand_over_locked()
                    return
                if time.monotonic() < self._since + TOGETHER_SECONDS:
                    return
            items = self._take_waiting_locked()
            self._is_busy = True
        self._work_guarded(items)
        with self._changed:
            self._is_busy = False
            if self._waiting or self._patient.is_waiting or self._is_stopping:
                self._hand_over_locked()

    def stop(self, timeout):
        """
        Send what waits, then end the thread; return whether all was sent.

        Nothing waits any longer for its time, or for a channel to have room.
        """
        with self._changed:
            self._is_stopping = True
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None:
            thread.join(timeout)
        with self._changed:
            self._is_stopping = False
            is_empty = not (self._waiting or self._later or self._patient.is_waiting)
            return is_empty and not self._is_busy

    def _add_locked(self, items, delay):
        if not items:
            return
        if self._outgoing is not None:
            sends = [item for item in items if isinstance(item, tuple)]
            if (ticket := self._outgoing.keep(sends)) is not None:
                items = [ticket, *items]
        now = time.monotonic()
        if delay:
            looks_at = now + delay
            self._later.extend((looks_at, item) for item in items)
        else:
            if not self._waiting:
                self._since = now
            self._waiting.extend(items)
            looks_at = self._since + LATE_SECONDS
            self._is_used = True
        if self._thread is None:
            thread = threading.Thread(
                target=self._run, name="channels-sender", daemon=True
            )
            thread.start()
            self._thread = thread
        elif looks_at < self._looks_at:
            self._changed.notify_all()

    def _hand_over_locked(self):
        """Have the thread send what waits."""
        self._is_handed_over = True
        self._changed.notify_all()

    # The thread.

    def _run(self):
        thread = threading.current_thread()
        while True:
            with self._changed:
                while self._is_busy or not any(work := self._take_locked()):
                    if self._thread is not thread and not self._is_busy:
                        return
                    self._changed.wait(self._seconds_to_wait_locked())
                self._is_busy = True
                self._looks_at = 0
                self._changed.notify_all()
            self._work_guarded(*work)
            _close_connections()
            with self._changed:
                self._is_busy = False

    def _take_locked(self):
        """Return what the thread is to send, and whether to try again what waits."""
        now = time.monotonic()
        items = []
        if self._later:
            due = [self._is_stopping or when <= now for when, _ in self._later]
            items += [item for (_, item), is_due in zip(self._later, due) if is_due]
            self._later = [it for it, is_due in zip(self._later, due) if not is_due]
            items = self._forget_tickets_locked(items)
        is_due = self._is_handed_over or now >= self._since + LATE_SECONDS
        if is_due or self._is_stopping:
            items += self._take_waiting_locked()
        is_time = self._is_stopping or now >= self._patient.next_try
        return items, self._patient.is_waiting and is_time

    def _take_waiting_locked(self):
        count = min(len(self._waiting), BATCH_MESSAGES)
        items = [self._waiting.popleft() for _ in range(count)]
        self._is_handed_over = bool(self._waiting)
        return self._forget_tickets_locked(items)

    def _forget_tickets_locked(self, items):
        """Have ``outgoing`` forget what leaves: it must not come twice."""
        if self._outgoing is None:
            return items
        for item in items:
            if isinstance(item, int):
                self._outgoing.forget(item)
        return [item for item in items if not isinstance(item, int)]

    def _seconds_to_wait_locked(self):
        now = time.monotonic()
        if self._is_busy:
            # What is due waits for a worker, which may wait for the layer.
            self._looks_at = now + LATE_SECONDS
            return LATE_SECONDS
        times = [when for when, _ in self._later]
        if self._patient.is_waiting:
            times.append(self._patient.next_try)
        if self._waiting:
            times.append(self._since + LATE_SECONDS)
        elif self._is_used:
            # Workers have no need to wake it as long as it looks in time.
            times.append(now + LATE_SECONDS)
        self._is_used = False
        self._looks_at = min(times, default=math.inf)
        return max(0, self._looks_at - now) if times else None

    def _work_guarded(self, items, is_retry=False):
        try:
            self._patient.is_hurried = self._is_stopping
            if is_retry:
                self._patient.try_again()
            self._patient.send([item for item in items if isinstance(item, tuple)])
        except BaseException:
            # Nobody else would send what comes later.
            logger.exception("Dropped messages of consumers.")
        finally:
            _settle([item for item in items if isinstance(item, asyncio.Future)])


class EagerSender(Sender):
    """
    Sends what a consumer sent before that is finished, if nobody else sends.

    What finds no room is left to the thread, so that the consumer's is free for the
    consumers that make room.
    """

    def send(self, outbox, delay=0):
        super().send(outbox, delay)
        self.take_turn()


def _close_connections():
    """Close what receivers of messages_dropped opened: only workers keep some."""
    try:
        connections.close_all()
    except Error:
        logger.exception("Cannot close a connection to a database:")


def _settle(futures):
    """Have coroutines go on, each loop woken once."""
    loops = {}
    for future in futures:
        loops.setdefault(future.get_loop(), []).append(future)
    for loop, done in loops.items():
        try:
            loop.call_soon_threadsafe(_set_results, done)
        except RuntimeError:
            logger.debug("A loop was closed before its consumers' messages left.")


def _set_results(futures):
    for future in futures:
        if not future.done():
            future.set_result(None)
