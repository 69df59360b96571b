"""
Clients of tests, which send messages and have them consumed.

In: calls of tests. Out: messages to the layer, runs of consumers, and what these
replied.
"""

import copy

from django.channels import DEFAULT_CHANNEL_LAYER, Group, channel_layers
from django.channels.message import Message

from .layers import take_message
from .workers import ClientWorker

# The reply channels of clients.
REPLY_CHANNELS = "test.client.reply?"


def copy_content(content):
    """Return a deep copy of a dict, {} for None; raise TypeError for all else."""
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise TypeError(
            f"The content of a message must be a dict, not {content!r} of type "
            f"{type(content).__name__}."
        )
    return copy.deepcopy(content)


class Client:
    """
    Sends messages to channels and has consumers run for them, as workers do.

    Consumers run in the thread of the test, one for each call. What one sends
    leaves when it succeeds; what it raises is raised by the call, after it was
    treated as a worker treats it. ``alias`` names the layer in CHANNEL_LAYERS.
    """

    def __init__(self, alias=DEFAULT_CHANNEL_LAYER):
        self.alias = alias
        self.reply_channel = self.channel_layer.new_channel(REPLY_CHANNELS)

    @property
    def channel_layer(self):
        """The layer, a ChannelLayerWrapper."""
        return channel_layers[self.alias]

    def get_next_message(self, channel):
        """Take the next Message from a channel; return None if nothing waits."""
        return take_message(self.channel_layer, channel)

    def get_consumer_by_channel(self, channel):
        """Return the consumer for a message with nothing in it, None without one."""
        message = Message({"text": ""}, channel, self.channel_layer)
        found = self.channel_layer.router.match(message)
        return None if found is None else found[0]

    def send(self, to, content=None):
        """Send a dict to a channel, with this client's reply channel."""
        content = copy_content(content)
        content.setdefault("reply_channel", self.reply_channel)
        self.channel_layer.send(to, content)

    def consume(self, channel, fail_on_none=True):
        """
        Run the consumer for the next message on a channel; return what it returns.

        Raise what it raises. If there is no message, or no route for it, raise
        AssertionError, or return None if ``fail_on_none`` is false.
        """
        message = self._take(channel, fail_on_none)
        if message is None:
            return None
        worker = ClientWorker(self.channel_layer)
        worker.consume(message.channel.name, message.content)
        return self._get_result(worker, message, fail_on_none)

    async def aconsume(self, channel, fail_on_none=True):
        """See consume()."""
        message = self._take(channel, fail_on_none)
        if message is None:
            return None
        worker = ClientWorker(self.channel_layer)
        await worker.aconsume(message.channel.name, message.content)
        return self._get_result(worker, message, fail_on_none)

    def send_and_consume(self, channel, content=None, fail_on_none=True):
        """Send a message and run its consumer. See send() and consume()."""
        self.send(channel, content)
        return self.consume(channel, fail_on_none=fail_on_none)

    async def asend_and_consume(self, channel, content=None, fail_on_none=True):
        """See send_and_consume()."""
        self.send(channel, content)
        return await self.aconsume(channel, fail_on_none=fail_on_none)

    def receive(self):
        """Return the content of the next reply to this client, None without one."""
        message = self.get_next_message(self.reply_channel)
        return None if message is None else message.content

    def join_group(self, group_name):
        """Have this client receive what is sent to a group."""
        Group(group_name, channel_layer=self.channel_layer).add(self.reply_channel)

    def _take(self, channel, fail_on_none):
        message = self.get_next_message(channel)
        if message is None and fail_on_none:
            raise AssertionError(f"No message for channel {channel}.")
        return message

    def _get_result(self, worker, message, fail_on_none):
        if worker.last_run is not None or worker.has_failed:
            return worker.get_result()
        if fail_on_none:
            raise AssertionError(f"Can't find a consumer for {message!r}.")
        return None
