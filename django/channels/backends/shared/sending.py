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
        # {channel: (its target, the payloads and the places of its queue)}
        known = {}
        for index, (channel, message) in enumerate(messages):
            if isinstance(message, MessageTooLarge):
                self.results[index] = message
                continue
            if channel not in known:
                queue = inbox_of(channel) or channel
                if queue != channel and owner.refuses(queue, channel):
                    continue
                if queue not in self._queues:
                    self._queues[queue] = (queue, layer.get_capacity(queue), [])
                    self._places[queue] = []
                target = "" if queue == channel else channel
                payloads = self._queues[queue][2]
                known[channel] = target, payloads, self._places[queue]
            target, payloads, places = known[channel]
            try:
                payloads.append(codec.encode(MESSAGE, target, message))
            except MessageTooLarge as error:
                self.results[index] = error
                continue
            places.append((index, channel))
        for queue in [queue for queue, places in self._places.items() if not places]:
            del self._queues[queue], self._places[queue]

    def queues(self):
        """Return what Store.append() takes."""
        return list(self._queues.values())

    def conclude(self, stored):
        """Note of how many messages were stored of each queue."""
        for count, queue in zip(stored, self._queues.values()):
            name, _, payloads = queue
            if count == len(payloads):
                continue
            for index, channel in self._places[name][count:]:
                self.results[index] = full_error(channel, queue)


def full_error(channel, queue):
    """Return the error for a message to a channel whose queue has no room."""
    name, capacity, _ = queue
    return ChannelFull(
        f"Channel {str.__str__(channel)!r} is full: the capacity of {name!r} is "
        f"{capacity} messages."
    )
