"""
Messages on their way into a store: encoded, and grouped by queue.

In: copied messages from layer.py. Out: what Store.append() takes, and for each
message None or why it was not stored.
"""

from django.channels.exceptions import ChannelFull, MessageTooLarge
from django.channels.names import inbox_of

from .envelopes import MESSAGE


class Batch:
    """Some messages to send, and what becomes of each."""

    def __init__(self, layer, owner, codec, messages):
        # None or the error of each message.
        self.results = [None] * len(messages)
        # {queue: (queue, capacity, payloads)}
        self._queues = {}
        # {queue: [(index, channel), …]} beside the payloads.
        self._places = {}
        for index, (channel, message) in enumerate(messages):
            if isinstance(message, MessageTooLarge):
                self.results[index] = message
                continue
            queue = inbox_of(channel)
            if queue is None:
                queue, target = channel, ""
            elif owner.refuses(queue, channel):
                continue
            else:
                target = channel
            try:
                payload = codec.encode(MESSAGE, target, message)
            except MessageTooLarge as error:
                self.results[index] = error
                continue
            if queue not in self._queues:
                self._queues[queue] = (queue, layer.get_capacity(queue), [])
                self._places[queue] = []
            self._queues[queue][2].append(payload)
            self._places[queue].append((index, channel))

    def queues(self):
        """Return what Store.append() takes."""
        return list(self._queues.values())

    def conclude(self, stored):
        """Note of how many messages were stored of each queue."""
        for count, (queue, capacity, payloads) in zip(stored, self._queues.values()):
            if count == len(payloads):
                continue
            for index, channel in self._places[queue][count:]:
                self.results[index] = ChannelFull(
                    f"Channel {channel!r} is full: the capacity of {queue!r} is "
                    f"{capacity} messages."
                )
