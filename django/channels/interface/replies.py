"""
The inbox in which this process gets replies to its connections.

In: messages from the layer, read by one thread of this process.
Out: each connection's deliver(), called on the connection's event loop, or in the
reading thread for connections that have none.
"""

import asyncio
import contextlib
import logging
import os
import threading
import weakref
from collections import deque

from django.channels.exceptions import LayerUnavailable
from django.channels.interface.dispatch import finish
from django.channels.names import new_name

# Messages taken from the layer at once.
BATCH_LIMIT = 500
# Seconds that a read waits before it looks whether it is still wanted.
READ_SECONDS = 5.0
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

    def _deliver_all(self):
        # Cleared first: what is put from here on schedules another turn.
        self._scheduled = False
        while self._items:
            _deliver(*self._items.popleft())


class ReplyInbox:
    """
    An inbox of this process on a layer.

    A daemon thread reads it while a connection is open. In a forked child, it is
    another one, without the connections of the parent.
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
        self._thread = None

    async def open(self, deliver):
        """
        Return a new reply channel, whose messages ``deliver`` is called with.

        ``deliver(message)`` runs on the calling event loop, in the order in
        which the messages were sent.
        """
        name = await self._layer.anew_channel(self._pattern)
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._mailboxes:
                self._mailboxes[loop] = _Mailbox(loop)
            self._add_locked(name, self._mailboxes[loop], deliver)
        return name

    def open_now(self, deliver):
        """See open(). ``deliver`` runs in the reading thread, and may not wait."""
        name = self._layer.new_channel(self._pattern)
        with self._lock:
            self._add_locked(name, None, deliver)
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

    def _add_locked(self, name, mailbox, deliver):
        self._open[name] = mailbox, deliver
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._read, name="channels-replies", daemon=True
            )
            self._thread.start()

    def _read(self):
        backoff = FIRST_BACKOFF_SECONDS
        failed = threading.Event()
        while self._is_wanted():
            try:
                batch = self._layer.receive_batch(
                    [self._pattern], BATCH_LIMIT, block=True, timeout=READ_SECONDS
                )
            except Exception as error:
                away = isinstance(error, LayerUnavailable)
                logger.error(
                    "Cannot read replies from layer %s: %s",
                    self._layer,
                    error,
                    exc_info=None if away else error,
                )
                failed.wait(backoff)
                backoff = min(backoff * 2, LAST_BACKOFF_SECONDS)
                continue
            backoff = FIRST_BACKOFF_SECONDS
            for name, message in batch:
                self._hand_over(name, message)

    def _hand_over(self, name, message):
        try:
            mailbox, deliver = self._open[name]
        except KeyError:
            logger.debug("Dropped a reply to %s, which is closed.", name)
        else:
            if mailbox is None:
                _deliver(deliver, message)
            else:
                mailbox.put(deliver, message)

    def _is_wanted(self):
        """Return whether a connection is open; the thread ends if none is."""
        with self._lock:
            if not self._open:
                self._thread = None
            return bool(self._open)


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
