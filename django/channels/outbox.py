"""
What a consumer sends, held back until it succeeds.

In: Channel.send() and Group.send() of a running consumer, or of a transaction.
Out: the layer's send_batch() and send_group(), in the order of the sends.
"""

import logging
import os
import time
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import groupby

from django.channels.backends.values import copy_message
from django.channels.backoff import FIRST_RETRY_SECONDS, Backoff
from django.channels.exceptions import ChannelFull, LayerUnavailable
from django.channels.signals import messages_dropped
from django.db import transaction

# Seconds for which a full channel is tried again before its messages drop.
RETRY_SECONDS = 2.0
# Seconds between two tries, at the most.
LAST_RETRY_SECONDS = 0.02

logger = logging.getLogger("django.channels.worker")

_current = ContextVar("django.channels.outbox", default=None)


if hasattr(os, "register_at_fork"):
    # What a consumer's child sends leaves at once: its outbox is a copy.
    os.register_at_fork(after_in_child=lambda: _current.set(None))


def current_outbox():
    """Return the outbox of the consumer that runs here, None outside of one."""
    outbox = _current.get()
    # A task that outlives the consumer which began it has its context still.
    return outbox if outbox is not None and outbox.is_collecting else None


class Outbox:
    """
    The messages that one run of a consumer sends.

    They are copied when they are sent, so that what the consumer does with
    them later is not seen. An outbox that is never flushed sends nothing.
    """

    def __init__(self):
        # (layer, name, message, whether the name is a group's)
        self._sends = []
        self.is_collecting = False

    def __len__(self):
        return len(self._sends)

    @contextmanager
    def collecting(self):
        """Collect what Channel and Group send in this context."""
        token = _current.set(self)
        self.is_collecting = True
        try:
            yield self
        finally:
            self.is_collecting = False
            _current.reset(token)

    def add(self, layer, name, message, to_group=False):
        """
        Hold a message for a channel or group of ``layer``.

        Raise TypeError or MessageTooLarge as the layer would.
        """
        self.hold(layer, name, copy_message(message, layer.max_message_size), to_group)

    def hold(self, layer, name, message, to_group):
        """Hold a message that is copied already. See add()."""
        self._sends.append((layer, name, message, to_group))

    def take(self):
        """Return [(layer, name, message, to_group), …] and forget it."""
        sends, self._sends = self._sends, []
        return sends

    def release(self):
        """Send everything now, and what follows as it is sent."""
        self.is_collecting = False
        self.flush()

    def flush(self):
        """
        Send everything, in order for each layer.

        What stays undeliverable is logged and signaled; the rest is sent.
        """
        parts = {}
        for layer, name, message, to_group in self.take():
            part = parts.setdefault(id(layer), (layer, []))
            part[1].append((name, message, to_group))
        for layer, sends in parts.values():
            for to_group, run in groupby(sends, lambda send: send[2]):
                deliver(layer, [send[:2] for send in run], to_group)


def deliver(layer, sends, to_group):
    """
    Send a list of (name, message), to groups or to channels.

    Whatever keeps one from being sent is logged; nothing is raised.
    """
    try:
        while to_group and sends:
            layer.send_group(*sends[0])
            sends = sends[1:]
        if sends:
            send_patiently(layer, sends)
    except Exception as error:
        drop(layer, [name for name, _ in sends], error)


def send_on_commit(layer, name, message, to_group=False, using=None):
    """
    Hold a message until the transaction of a database ends; ``using`` is its alias.

    It leaves with what the consumer sends if it is one that commits, otherwise
    at once; without a transaction that is now. It goes with a transaction that
    is rolled back. Raise TypeError or MessageTooLarge as the layer would.
    """
    message = copy_message(message, layer.max_message_size)

    def send_committed():
        outbox = current_outbox()
        if outbox is not None:
            outbox.hold(layer, name, message, to_group)
        elif to_group:
            layer.send_group(name, message)
        else:
            layer.send(name, message)

    # For tests, which look at what waits.
    send_committed.queued = layer, name, message, to_group
    # Robust: the transaction has ended well, and others wait for that too.
    transaction.on_commit(send_committed, using=using, robust=True)


def send_patiently(layer, batch):
    """
    Send a list of (channel, message), trying full channels again for a while.

    Log and signal what stays full for RETRY_SECONDS, and what the layer refuses
    for another reason.
    """
    deadline = time.monotonic() + RETRY_SECONDS
    pauses = Backoff(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS)
    while True:
        sent, batch = batch, []
        for item, error in zip(sent, layer.send_batch(sent)):
            if isinstance(error, ChannelFull):
                batch.append(item)
            elif error is not None:
                logger.error("Dropped a message to %s: %s", item[0], error)
                _signal_drop(layer, [item[0]])
        if not batch:
            return
        if time.monotonic() >= deadline:
            break
        time.sleep(pauses.next())
    names = [name for name, _ in batch]
    logger.error(
        "Dropped %d message(s) of a consumer: %s on layer %s stayed full for %s s.",
        len(names),
        ", ".join(sorted(set(names))),
        layer,
        RETRY_SECONDS,
    )
    _signal_drop(layer, names)


def drop(layer, names, error):
    """Log and signal what could not be sent; a layer away needs no traceback."""
    away = isinstance(error, LayerUnavailable)
    logger.error(
        "Dropped %d message(s) of a consumer to %s on layer %s: %s",
        len(names),
        ", ".join(sorted(set(names))),
        layer,
        error,
        exc_info=None if away else error,
    )
    _signal_drop(layer, names)


def _signal_drop(layer, names):
    messages_dropped.send_robust(sender=Outbox, channel_layer=layer, names=names)
