"""
Channel and Group: how code sends.

In: calls from views, consumers, signal handlers, commands and the shell.
Out: the outbox of the consumer that runs here, otherwise the channel layer.
"""

from django.channels.layers import DEFAULT_CHANNEL_LAYER, channel_layers
from django.channels.names import validate_channel, validate_group
from django.channels.outbox import current_outbox


class _Destination:
    """What Channel and Group have in common."""

    def __init__(self, name, alias=DEFAULT_CHANNEL_LAYER, channel_layer=None):
        if isinstance(name, bytes):
            # What is not ASCII is no valid name in any decoding.
            name = name.decode("latin-1")
        self.name = self._validate(name)
        self.channel_layer = channel_layer or channel_layers[alias]

    def __str__(self):
        return self.name

    def __repr__(self):
        return f"<{type(self).__name__}: {self.name}>"

    def _check(self, content):
        if not isinstance(content, dict):
            raise TypeError(
                f"You can only send dicts, not {content!r} of type "
                f"{type(content).__name__}."
            )


class Channel(_Destination):
    """
    A channel to send to, by its name (str, or ASCII bytes).

    ``alias`` names the layer in CHANNEL_LAYERS; ``channel_layer`` is the layer
    itself and wins. Raise TypeError for a name that cannot be sent to.
    """

    _validate = staticmethod(validate_channel)

    def send(self, content, immediately=False):
        """
        Send a dict.

        In a consumer it leaves when the consumer succeeds, unless
        ``immediately`` is true; elsewhere it leaves at once. Raise TypeError
        for content that is not a dict of allowed values, MessageTooLarge, and
        ChannelFull when it leaves at once and the channel has no room.
        """
        self._check(content)
        outbox = None if immediately else current_outbox()
        if outbox is None:
            self.channel_layer.send(self.name, content)
        else:
            outbox.add(self.channel_layer, self.name, content)

    async def asend(self, content, immediately=False):
        """See send()."""
        self._check(content)
        outbox = None if immediately else current_outbox()
        if outbox is None:
            await self.channel_layer.asend(self.name, content)
        else:
            outbox.add(self.channel_layer, self.name, content)


class Group(_Destination):
    """
    A group of channels to broadcast to, by its name.

    See Channel for the arguments.
    """

    _validate = staticmethod(validate_group)

    def add(self, channel):
        """
        Add a channel, a Channel or a str; adding it again renews it.

        Every message sent to the group after this returns reaches it.
        """
        self.channel_layer.group_add(self.name, str(channel))

    async def aadd(self, channel):
        """See add()."""
        await self.channel_layer.agroup_add(self.name, str(channel))

    def discard(self, channel):
        """Remove a channel, a Channel or a str, if it is in the group."""
        self.channel_layer.group_discard(self.name, str(channel))

    async def adiscard(self, channel):
        """See discard()."""
        await self.channel_layer.agroup_discard(self.name, str(channel))

    def send(self, content, immediately=False):
        """
        Send a dict to every channel in the group.

        It leaves when Channel.send() would. Members without room miss it; the
        layer counts that. Raise TypeError and MessageTooLarge as Channel.send().
        """
        self._check(content)
        outbox = None if immediately else current_outbox()
        if outbox is None:
            self.channel_layer.send_group(self.name, content)
        else:
            outbox.add(self.channel_layer, self.name, content, to_group=True)

    async def asend(self, content, immediately=False):
        """See send()."""
        self._check(content)
        outbox = None if immediately else current_outbox()
        if outbox is None:
            await self.channel_layer.asend_group(self.name, content)
        else:
            outbox.add(self.channel_layer, self.name, content, to_group=True)
