"""
How the messages of consumers leave: each consumer's at once, or several together.

In: the outboxes of consumers that succeeded, from worker.py. Out: the layer's
send_batch() and send_group().
"""

import asyncio
import logging
import threading
import time
from collections import deque
from itertools import repeat

from django.channels.exceptions import ChannelFull
from django.channels.names import queue_of
from django.channels.outbox import RETRY_INTERVAL_SECONDS, RETRY_SECONDS, deliver, drop

# Messages that wait to be sent before a consumer's thread waits for room.
WAITING_MESSAGES = 1000
# Messages that leave in one call of the layer.
BATCH_MESSAGES = 200
# Messages to a full channel that are tried again at once, and the seconds until
# then, which double up to RETRY_INTERVAL_SECONDS while there is no room for any.
RETRY_MESSAGES = 100
FIRST_RETRY_SECONDS = 0.002

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

    def stop(self, timeout):
        """Return True: nothing waits here."""
        return True


class Sender:
    """
    Sends what several consumers sent together, in a thread that starts with it.

    The messages of one consumer keep their order, and so do consumers that end
    one after the other. A full channel holds up no other one: it is tried again
    for as long as outbox.py says. ``outgoing`` is an Outgoing for what waits.
    """

    def __init__(self, outgoing=None):
        self._outgoing = outgoing
        self._changed = threading.Condition(threading.Lock())
        # What is to be sent, (layer, name, message, to_group), behind the ticket of
        # ``outgoing`` for it, and futures of coroutines that wait until all before
        # them was.
        self._waiting = deque()
        # What is to be sent later: [(time, send or future), …]
        self._later = []
        # {(layer's id, queue): [(deadline, send), …]} of channels that are full.
        self._full = {}
        self._next_try = 0
        self._pause = FIRST_RETRY_SECONDS
        self._is_stopping = False
        self._is_busy = False
        self._thread = None

    def send(self, outbox, delay=0):
        """
        Have what is in an outbox sent, ``delay`` seconds from now.

        Wait for room if much waits already.
        """
        with self._changed:
            while len(self._waiting) >= WAITING_MESSAGES and self._thread is not None:
                self._changed.wait()
            self._add_locked(outbox.take(), delay)

    async def asend(self, outbox, delay=0):
        """See send(). Return when it is sent."""
        future = asyncio.get_running_loop().create_future()
        with self._changed:
            self._add_locked([*outbox.take(), future], delay)
        await future

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
            return not (self._waiting or self._later or self._full or self._is_busy)

    def _add_locked(self, items, delay):
        if not items:
            return
        if self._outgoing is not None:
            sends = [item for item in items if isinstance(item, tuple)]
            if (ticket := self._outgoing.keep(sends)) is not None:
                items = [ticket, *items]
        if delay:
            due = time.monotonic() + delay
            self._later.extend((due, item) for item in items)
        else:
            self._waiting.extend(items)
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="channels-sender", daemon=True
            )
            self._thread.start()
        self._changed.notify_all()

    # The thread.

    def _run(self):
        thread = threading.current_thread()
        while True:
            with self._changed:
                self._is_busy = False
                while not (items := self._take_locked()):
                    if self._thread is not thread:
                        return
                    self._changed.wait(self._seconds_to_wait_locked())
                self._is_busy = True
                self._changed.notify_all()
            try:
                self._work(items)
            except BaseException:
                # Nobody else would send what comes later.
                logger.exception("Dropped messages of consumers.")
            finally:
                _settle([item for item in items if isinstance(item, asyncio.Future)])

    def _take_locked(self):
        """Return what is to be sent now; None stands for what found no room."""
        now = time.monotonic()
        items = []
        if self._full and (now >= self._next_try or self._is_stopping):
            self._next_try = now + self._pause
            items.append(None)
        if self._later:
            due = [self._is_stopping or when <= now for when, _ in self._later]
            items += [item for (_, item), is_due in zip(self._later, due) if is_due]
            self._later = [it for it, is_due in zip(self._later, due) if not is_due]
        while self._waiting and len(items) < BATCH_MESSAGES:
            items.append(self._waiting.popleft())
        if self._outgoing is not None:
            # Before they leave: they must not come twice if this process dies now.
            for item in items:
                if isinstance(item, int):
                    self._outgoing.forget(item)
            items = [item for item in items if not isinstance(item, int)]
        return items

    def _seconds_to_wait_locked(self):
        times = [when for when, _ in self._later]
        if self._full:
            times.append(self._next_try)
        return max(0, min(times) - time.monotonic()) if times else None

    def _work(self, items):
        layer, batch = None, []
        for item in items:
            if item is None:
                self._try_full()
            elif isinstance(item, tuple):
                if item[3] or item[0] is not layer:
                    self._send(layer, batch)
                    layer, batch = item[0], []
                if item[3]:
                    deliver(layer, [item[1:3]], True)
                elif held := self._full.get((id(layer), queue_of(item[1]))):
                    held.append((time.monotonic() + RETRY_SECONDS, item))
                else:
                    batch.append(item)
        self._send(layer, batch)

    def _send(self, layer, batch, deadlines=repeat(None)):
        """
        Send to channels of one layer; keep what finds them full.

        ``deadlines`` are of what was kept before. Return whether any was sent.
        """
        if not batch:
            return False
        pairs = [item[1:3] for item in batch]
        try:
            results = layer.send_batch(pairs)
        except Exception as error:
            drop(layer, [name for name, _ in pairs], error)
            return False
        for item, error, deadline in zip(batch, results, deadlines):
            if isinstance(error, ChannelFull):
                self._hold(layer, item, error, deadline)
            elif error is not None:
                drop(layer, [item[1]], error)
        return None in results

    def _hold(self, layer, item, error, deadline):
        now = time.monotonic()
        deadline = deadline or now + RETRY_SECONDS
        if self._is_stopping or now >= deadline:
            drop(layer, [item[1]], error)
        else:
            key = id(layer), queue_of(item[1])
            self._full.setdefault(key, []).append((deadline, item))

    def _try_full(self):
        """Send the first of what found its channel full once more."""
        full, self._full = self._full, {}
        is_any_sent = False
        for key, held in full.items():
            count = len(held) if self._is_stopping else RETRY_MESSAGES
            deadlines, items = zip(*held[:count])
            is_any_sent |= self._send(items[0][0], items, deadlines)
            if left := held[count:]:
                self._full.setdefault(key, []).extend(left)
        if is_any_sent:
            self._pause = FIRST_RETRY_SECONDS
        else:
            self._pause = min(self._pause * 2, RETRY_INTERVAL_SECONDS)


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
