"""
Channel and Group: how code sends.

In: calls from views, consumers, signal handlers, commands and the shell.
Out: the outbox of the consumer that runs here, otherwise the channel layer.
"""

from asgiref.sync import sync_to_async

from django.channels.layers import DEFAULT_CHANNEL_LAYER, channel_layers
from django.channels.names import validate_channel, validate_group
from django.channels.outbox import current_outbox, send_on_commit


class _Destination:
    """What Channel and Group have in common."""

    _to_group = False

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

    def send(self, content, immediately=False, on_commit=False, using=None):
        """
        Send a dict, to a channel or to every channel in a group.

        In a consumer it leaves when the consumer succeeds, unless
        ``immediately`` is true; elsewhere it leaves at once. With ``on_commit``,
        that is so from when the transaction of the database ``using``, an alias,
        is committed. Raise TypeError for content that is not a dict of allowed
        values, MessageTooLarge, ValueError for both at once, and ChannelFull
        when it leaves at once and the channel has no room. Members of a group
        without room miss it; the layer counts that.
        """
        self._check(content, immediately, on_commit)
        if on_commit:
            self._send_on_commit(content, using)
        elif immediately or (outbox := current_outbox()) is None:
            self._send_now(content)
        else:
            outbox.add(self.channel_layer, self.name, content, self._to_group)

    async def asend(self, content, immediately=False, on_commit=False, using=None):
        """See send()."""
        self._check(content, immediately, on_commit)
        if on_commit:
            # Only a thread may use the connection to a database.
            await sync_to_async(self._send_on_commit)(content, using)
        elif immediately or (outbox := current_outbox()) is None:
            await self._asend_now(content)
        else:
            outbox.add(self.channel_layer, self.name, content, self._to_group)

    def _send_on_commit(self, content, using):
        send_on_commit(self.channel_layer, self.name, content, self._to_group, using)

    def _check(self, content, immediately, on_commit):
        if not isinstance(content, dict):
            raise TypeError(
                f"You can only send dicts, not {content!r} of type "
                f"{type(content).__name__}."
            )
        if immediately and on_commit:
            raise ValueError(
                "A message leaves either immediately or on commit: give one of the "
                "two, not both."
            )


class Channel(_Destination):
    """
    A channel to send to, by its name (str, or ASCII bytes).

    ``alias`` names the layer in CHANNEL_LAYERS; ``channel_layer`` is the layer
    itself and wins. Raise TypeError for a name that cannot be sent to.
    """

    _validate = staticmethod(validate_channel)

    def _send_now(self, content):
        self.channel_layer.send(self.name, content)

    async def _asend_now(self, content):
        await self.channel_layer.asend(self.name, content)


class Group(_Destination):
    """
    A group of channels to broadcast to, by its name.

    See Channel for the arguments.
    """

    _validate = staticmethod(validate_group)
    _to_group = True

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

    def _send_now(self, content):
        self.channel_layer.send_group(self.name, content)

    async def _asend_now(self, content):
        await self.channel_layer.asend_group(self.name, content)
