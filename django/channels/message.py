"""The message that a consumer is called with."""

import copy

from django.channels.channel import Channel

# What a message has if its consumer is decorated, and where the decorators are.
DECORATED = {
    "channel_session": "django.channels.sessions",
    "http_session": "django.channels.sessions",
    "user": "django.channels.auth",
}


class Message:
    """
    One message, and where it came from.

    ``content`` is the dict that was sent, ``channel`` the Channel it was sent
    to, ``channel_layer`` the layer it came over, and ``reply_channel`` the
    Channel of the connection it belongs to, None if it belongs to none. Items
    of the content can be read from the message itself.
    """

    def __init__(self, content, channel_name, channel_layer):
        self.content = content
        self.channel = Channel(channel_name, channel_layer=channel_layer)
        self.channel_layer = channel_layer
        reply_channel = content.get("reply_channel")
        self.reply_channel = (
            Channel(reply_channel, channel_layer=channel_layer)
            if reply_channel
            else None
        )

    def __getattr__(self, name):
        # Called for what is not there only.
        error = f"{type(self).__name__!r} object has no attribute {name!r}"
        if name in DECORATED:
            error += (
                f": give it one by a decorator of {DECORATED[name]} on its consumer, "
                f"or by an attribute of a generic consumer."
            )
        raise AttributeError(error, name=name, obj=self)

    def __getitem__(self, key):
        return self.content[key]

    def __setitem__(self, key, value):
        self.content[key] = value

    def __contains__(self, key):
        return key in self.content

    def __iter__(self):
        return iter(self.content)

    def __repr__(self):
        return f"<{type(self).__name__} on {self.channel}: {', '.join(self.content)}>"

    def keys(self):
        """Return the keys of the content."""
        return self.content.keys()

    def values(self):
        """Return the values of the content."""
        return self.content.values()

    def items(self):
        """Return the items of the content."""
        return self.content.items()

    def get(self, key, default=None):
        """Return the content's value for a key, ``default`` if it has none."""
        return self.content.get(key, default)

    def with_content(self, content):
        """Return the same message with other content, not copied."""
        message = object.__new__(type(self))
        message.__dict__.update(self.__dict__, content=content)
        return message

    def copy(self):
        """Return a message with a deep copy of the content."""
        return type(self)(
            copy.deepcopy(self.content), self.channel.name, self.channel_layer
        )
