"""
How messages leave that may find their channel full: in batches, again and again.

In: what consumers sent, from sender.py. Out: the layer's send_batch() and
send_group().
"""

import time
from itertools import repeat

from django.channels.backoff import FIRST_RETRY_SECONDS, Backoff
from django.channels.exceptions import ChannelFull
from django.channels.names import queue_of
from django.channels.outbox import LAST_RETRY_SECONDS, RETRY_SECONDS, deliver, drop

# Messages to a full channel that are tried again at once.
RETRY_MESSAGES = 100


class PatientSender:
    """
    Sends messages, and keeps those whose channel is full until there is room.

    A message is tried again for RETRY_SECONDS, in its turn: what comes later for
    the same channel waits behind it, and no other channel does. When it
    ``is_hurried``, what finds no room is dropped. One thread at a time may call it.
    """

    def __init__(self):
        self.is_hurried = False
        # When try_again() is due, by time.monotonic().
        self.next_try = 0
        # {(layer's id, queue): [(deadline, send), …]} of channels that are full.
        self._full = {}
        self._pauses = Backoff(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS)

    @property
    def is_waiting(self):
        """Does any message wait for room?"""
        return bool(self._full)

    def send(self, sends):
        """Send [(layer, name, message, to_group), …], in this order."""
        layer, batch = None, []
        for item in sends:
            its_layer, name, _, to_group = item
            if to_group or its_layer is not layer:
                self._send_batch(layer, batch)
                layer, batch = its_layer, []
            if to_group:
                deliver(layer, [item[1:3]], True)
            elif held := self._full.get((id(layer), queue_of(name))):
                held.append((time.monotonic() + RETRY_SECONDS, item))
            else:
                batch.append(item)
        self._send_batch(layer, batch)

    def try_again(self):
        """Send the first of what found its channel full once more."""
        full, self._full = self._full, {}
        is_any_sent = False
        for key, held in full.items():
            count = len(held) if self.is_hurried else RETRY_MESSAGES
            deadlines, sends = zip(*held[:count])
            is_any_sent |= self._send_batch(sends[0][0], sends, deadlines)
            if left := held[count:]:
                self._full.setdefault(key, []).extend(left)
        if is_any_sent:
            self._pauses.reset()
        self.next_try = time.monotonic() + self._pauses.next()

    def _send_batch(self, layer, batch, deadlines=repeat(None)):
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
                self._keep(layer, item, error, deadline)
            elif error is not None:
                drop(layer, [item[1]], error)
        return None in results

    def _keep(self, layer, item, error, deadline):
        now = time.monotonic()
        deadline = deadline or now + RETRY_SECONDS
        if self.is_hurried or now >= deadline:
            drop(layer, [item[1]], error)
        else:
            key = id(layer), queue_of(item[1])
            self._full.setdefault(key, []).append((deadline, item))
