"""
The inbox in which this process gets replies to its connections.

In: messages from the layer, read by one reader of this process: a task, as long as
all connections are of its event loop, otherwise a thread. Out: each connection's
deliver(), on its event loop, or in the reading thread if it has none.
"""

import asyncio
import contextlib
import logging
import os
import threading
import weakref
from collections import deque
from functools import partial

from django.channels.backoff import Backoff
from django.channels.exceptions import LayerUnavailable
from django.channels.interface.dispatch import begin, finish
from django.channels.names import new_name

# How a reader reads: messages taken from the layer at once, and seconds that it
# waits before it looks whether it is still wanted.
_READ = {"limit": 500, "block": True, "timeout": 5.0}
# How often a thread looks whether the loop that read before it still runs.
ENDING_SECONDS = 0.05
# Seconds until a read is tried again after the layer failed, and the most.
FIRST_BACKOFF_SECONDS = 0.1
LAST_BACKOFF_SECONDS = 5.0

logger = logging.getLogger("django.channels.interface")


class _Mailbox:
    """What waits to be delivered on one event loop, in one wake per turn."""

    def __init__(self, loop):
        # Not to keep the loop that it is kept for.
        self._loop = weakref.ref(loop)
        self._items = deque()
        self._scheduled = False

    def put(self, deliver, message):
        """Have ``deliver(message)`` called on the loop. Called from a thread."""
        loop = self._loop()
        if loop is None or loop.is_closed():
            # Its connections ended with it.
            return self._items.clear()
        self._items.append((deliver, message))
        if self._scheduled:
            return
        self._scheduled = True
        # RuntimeError: it was closed just now.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._deliver_all)

    def is_of(self, loop):
        """Return whether it is the loop's, with nothing that comes first."""
        return not self._items and self._loop() is loop

    def _deliver_all(self):
        # Cleared first: what is put from here on schedules another turn.
        self._scheduled = False
        while self._items:
            _deliver(*self._items.popleft())


class ReplyInbox:
    """
    An inbox of this process on a layer, which is read while a connection is open.

    In a forked child, it is another one, without the connections of the parent.
    """

    def __init__(self, channel_layer):
        self._layer = channel_layer
        self._reset()
        _inboxes.add(self)

    def _reset(self):
        self._pattern = new_name("interface.reply?").replace("?", ".") + "!"
        # {name: (the mailbox of its loop or None, deliver)}
        self._open = {}
        self._mailboxes = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        # A thread, or a task and its loop.
        self._thread = None
        self._task = self._loop = self._ended = None

    async def open(self, deliver):
        """
        Return a new reply channel, whose messages ``deliver`` is called with.

        ``deliver(message)`` runs on the calling event loop, in the order in
        which the messages were sent.
        """
        name = await self._layer.anew_channel(self._pattern)
        loop = asyncio.get_running_loop()
        with self._lock:
            mailbox = self._mailboxes.get(loop)
            if mailbox is None:
                mailbox = self._mailboxes[loop] = _Mailbox(loop)
            if self._thread is None and self._loop is not loop:
                self._choose_reader_locked(loop)
            self._open[name] = mailbox, deliver
        return name

    def open_now(self, deliver):
        """See open(). ``deliver`` runs in the reading thread, and may not wait."""
        name = self._layer.new_channel(self._pattern)
        with self._lock:
            if self._thread is None:
                self._choose_reader_locked(None)
            self._open[name] = None, deliver
        return name

    def redirect(self, name, deliver):
        """Have another function called with what comes from now on."""
        with self._lock:
            self._open[name] = self._open[name][0], deliver

    async def close(self, name):
        """Forget a reply channel, its messages and its memberships."""
        with self._lock:
            self._open.pop(name, None)
        try:
            await self._layer.aclose_channel(name)
        except asyncio.CancelledError:
            # It may have been cut off. Closing twice is closing once.
            await finish(self._layer.aclose_channel(name))
            raise

    def close_now(self, name):
        """See close()."""
        with self._lock:
            self._open.pop(name, None)
        self._layer.close_channel(name)

    # Readers.

    def _choose_reader_locked(self, loop):
        """Have a task read, if that of no other loop does, or else a thread."""
        if loop is not None and self._loop is None:
            self._loop, self._ended = loop, threading.Event()
            self._task = begin(self._read_on_loop())
            self._task.add_done_callback(partial(self._end_task, self._ended))
            return
        loop, task = self._loop, self._task
        self._start_thread_locked(loop, self._ended)
        self._loop = self._task = None
        if loop is not None:
            # RuntimeError: it was closed.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)

    def _start_thread_locked(self, loop=None, ended=None):
        self._thread = threading.Thread(
            target=self._read, args=(loop, ended), name="channels-replies", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:
            # There are too many. The next connection tries it again.
            self._thread = None
            raise

    async def _read_on_loop(self):
        backoff = Backoff(FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS)
        receive = self._layer.areceive_batch
        while self._is_wanted(self._task, asyncio.current_task()):
            try:
                self._hand_over(await receive([self._pattern], **_READ))
                backoff.reset()
                # There may be more; first, the connections write this.
                await asyncio.sleep(0)
            except Exception as error:
                self._log_fault(error)
                await asyncio.sleep(backoff.next())

    def _end_task(self, ended, task):
        """Have a thread read if the task was ended and connections are open."""
        with self._lock:
            if self._task is task:
                self._loop = self._task = None
                # RuntimeError: the process ends, too.
                with contextlib.suppress(RuntimeError):
                    self._start_thread_locked()
        ended.set()

    def _read(self, loop, ended):
        while loop is not None and loop.is_running() and not ended.wait(ENDING_SECONDS):
            # What the task has taken comes before what is there now.
            continue
        backoff = Backoff(FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS)
        failed = threading.Event()
        while self._is_wanted(self._thread, threading.current_thread()):
            try:
                self._hand_over(self._layer.receive_batch([self._pattern], **_READ))
                backoff.reset()
            except Exception as error:
                self._log_fault(error)
                failed.wait(backoff.next())

    def _log_fault(self, error):
        """Log why nothing can be read; a store that is away needs no traceback."""
        away = isinstance(error, LayerUnavailable)
        logger.error(
            "Cannot read replies from layer %s: %s",
            self._layer,
            error,
            exc_info=None if away else error,
        )

    def _hand_over(self, batch):
        here = _running_loop()
        for name, message in batch:
            try:
                mailbox, deliver = self._open[name]
            except KeyError:
                logger.debug("Dropped a reply to %s, which is closed.", name)
            else:
                if mailbox is None or mailbox.is_of(here):
                    _deliver(deliver, message)
                else:
                    mailbox.put(deliver, message)

    def _is_wanted(self, reader, current):
        """Return whether a connection is open, and it is the ``current`` one's turn."""
        with self._lock:
            if reader is not current:
                return False
            if not self._open:
                self._thread = self._loop = self._task = None
            return bool(self._open)


def _running_loop():
    """Return the event loop of this thread, None if it runs none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _deliver(deliver, message):
    try:
        deliver(message)
    except Exception:
        logger.exception("Cannot deliver a reply.")


_inboxes = weakref.WeakSet()


def _reset_in_child():
    # The threads, the names and maybe the locks are the parent's.
    for inbox in list(_inboxes):
        inbox._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_in_child)
