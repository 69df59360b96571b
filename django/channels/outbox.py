"""
What a consumer sends, held back until it succeeds.

In: Channel.send() and Group.send() of a running consumer.
Out: the layer's send_batch() and send_group(), in the order of the sends.
"""

import logging
import time
from contextlib import contextmanager
from contextvars import ContextVar

from django.channels.backends.values import copy_message
from django.channels.exceptions import ChannelFull

# Seconds for which a full channel is tried again before its messages drop.
RETRY_SECONDS = 2.0
# Seconds between two tries.
RETRY_INTERVAL_SECONDS = 0.02

logger = logging.getLogger("django.channels.worker")

_current = ContextVar("django.channels.outbox", default=None)


def current_outbox():
    """Return the outbox of the consumer that runs here, None outside of one."""
    return _current.get()


class Outbox:
    """
    The messages that one run of a consumer sends.

    They are copied when they are sent, so that what the consumer does with
    them later is not seen. An outbox that is never flushed sends nothing.
    """

    def __init__(self):
        # (layer, name, message, whether the name is a group's)
        self._sends = []

    @contextmanager
    def collecting(self):
        """Collect what Channel and Group send in this context."""
        token = _current.set(self)
        try:
            yield self
        finally:
            _current.reset(token)

    def add(self, layer, name, message, to_group=False):
        """
        Hold a message for a channel or group of ``layer``.

        Raise TypeError or MessageTooLarge as the layer would.
        """
        message = copy_message(message, layer.max_message_size)
        self._sends.append((layer, name, message, to_group))

    def flush(self):
        """Send everything in order; log what stays undeliverable."""
        sends, self._sends = self._sends, []
        batch = []
        for index, (layer, name, message, to_group) in enumerate(sends):
            if to_group:
                layer.send_group(name, message)
                continue
            batch.append((name, message))
            following = sends[index + 1] if index + 1 < len(sends) else None
            if following is None or following[0] is not layer or following[3]:
                send_patiently(layer, batch)
                batch = []


def send_patiently(layer, batch):
    """
    Send a list of (channel, message), trying full channels again for a while.

    Log an error that names the channels that stay full for RETRY_SECONDS, and
    one for each message that the layer refuses for another reason.
    """
    deadline = time.monotonic() + RETRY_SECONDS
    while True:
        sent, batch = batch, []
        for item, error in zip(sent, layer.send_batch(sent)):
            if isinstance(error, ChannelFull):
                batch.append(item)
            elif error is not None:
                logger.error("Dropped a message to %s: %s", item[0], error)
        if not batch:
            return
        if time.monotonic() >= deadline:
            break
        time.sleep(RETRY_INTERVAL_SECONDS)
    names = ", ".join(sorted({name for name, _ in batch}))
    logger.error(
        "Dropped %d message(s) of a consumer: %s on layer %s stayed full for %s s.",
        len(batch),
        names,
        layer,
        RETRY_SECONDS,
    )
