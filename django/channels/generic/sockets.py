"""
Class-based consumers of sockets.

In: the messages of a socket. Out: calls of connect(), receive() and disconnect(),
and what they send.
"""

from functools import partial

from asgiref.sync import iscoroutinefunction, sync_to_async

from django.channels.channel import Group
from django.channels.exceptions import (
    DenyConnection,
    SendNotAvailableOnDemultiplexer,
)
from django.channels.generic.base import BaseConsumer


class WebsocketConsumer(BaseConsumer):
    """
    A consumer of sockets.

    ``groups``, or ``connection_groups()``, names the groups that a socket is in
    while it is open, and ``subprotocols`` what it may speak, the best first.
    ``http_user``, ``http_user_and_session`` and ``strict_ordering`` decorate the
    methods; ``slight_ordering`` is always given.
    """

    method_mapping = {
        "websocket.connect": "raw_connect",
        "websocket.receive": "raw_receive",
        "websocket.disconnect": "raw_disconnect",
    }
    http_user = False
    http_user_and_session = False
    strict_ordering = False
    slight_ordering = False
    groups = None
    subprotocols = ()

    # What a WebsocketDemultiplexer gives to the consumer of a stream.
    _stream = None

    def __init__(self, message, **kwargs):
        self._closed = False
        self._to_join = []
        # Coroutines that a method has begun, and could not wait for.
        self._begun = []
        super().__init__(message, **kwargs)

    @property
    def path(self):
        """The path of the socket, a str."""
        return self.message["path"]

    # For subclasses.

    def connection_groups(self, **kwargs):
        """Return the names of the groups that the socket is in while it is open."""
        return self.groups or []

    def connect(self, message, **kwargs):
        """Accept the socket, or not. Its groups are joined afterwards."""
        self.accept()

    def receive(self, text=None, bytes=None, **kwargs):
        """Do something with what the client sent: a str or bytes."""

    def disconnect(self, message, **kwargs):
        """Do something after the socket has ended. Its groups are left before."""

    # To the client.

    def accept(self, subprotocol=None):
        """
        Accept the socket, with a subprotocol.

        Unless it is given, choose_subprotocol() says which. Within a
        demultiplexer, which has accepted it, this does nothing.
        """
        if self._stream is not None:
            return
        if subprotocol is None:
            offered = self.message.get("subprotocols") or []
            subprotocol = self.choose_subprotocol(offered)
        reply = {"accept": True}
        if subprotocol is not None:
            reply["subprotocol"] = subprotocol
        self.message.reply_channel.send(reply)

    def choose_subprotocol(self, offered):
        """Return the first of ``subprotocols`` that a client offered, or None."""
        return next((name for name in self.subprotocols if name in offered), None)

    def send(self, text=None, bytes=None, close=False):
        """
        Send a str or bytes, and close the socket if ``close`` is True or a code.

        Raise ValueError for none of them, or for both text and bytes.
        """
        if self._stream is not None:
            raise SendNotAvailableOnDemultiplexer(
                f"{type(self).__qualname__} is the consumer of a stream: send with "
                f"the multiplexer that its methods are called with."
            )
        self.message.reply_channel.send(_get_reply(text, bytes, close))

    @classmethod
    def group_send(cls, name, text=None, bytes=None, close=False):
        """Send to all sockets in a group. See send()."""
        Group(name).send(_get_reply(text, bytes, close))

    def close(self, status=True):
        """Close the socket; ``status`` is True or a close code."""
        self._get_root()._closed = True
        self.message.reply_channel.send({"close": status})

    # From the worker.

    def raw_connect(self, message, **kwargs):
        """Call connect(), then join the groups."""
        groups = self._get_groups_to_join(**kwargs)
        self.connect(message, **kwargs)
        for group in self._take_groups(groups):
            group.add(message.reply_channel)

    def raw_receive(self, message, **kwargs):
        """Call receive()."""
        self.get_receive(message)(**kwargs)

    def raw_disconnect(self, message, **kwargs):
        """Leave the groups, then call disconnect()."""
        for group in self._get_joined_groups(**kwargs):
            group.discard(message.reply_channel)
        self.disconnect(message, **kwargs)

    async def araw_connect(self, message, **kwargs):
        """See raw_connect()."""
        groups = self._get_groups_to_join(**kwargs)
        await self._call(self.connect, message, **kwargs)
        for group in self._take_groups(groups):
            await group.aadd(message.reply_channel)

    async def araw_receive(self, message, **kwargs):
        """See raw_receive()."""
        await self._call(self.get_receive(message), **kwargs)

    async def araw_disconnect(self, message, **kwargs):
        """See raw_disconnect()."""
        for group in self._get_joined_groups(**kwargs):
            await group.adiscard(message.reply_channel)
        await self._call(self.disconnect, message, **kwargs)

    def get_receive(self, message):
        """Return receive() with what a message brought."""
        if message.get("text") is not None:
            return partial(self.receive, text=message["text"])
        return partial(self.receive, bytes=message["bytes"])

    @classmethod
    def methods_for(cls, channel):
        name = cls.method_mapping[channel].removeprefix("raw_")
        return [*super().methods_for(channel), getattr(cls, name, None)]

    def get_method(self, channel):
        name = self.method_mapping[channel]
        method = getattr(self, name)
        if name.startswith("raw_") and self.is_async(channel):
            # An overridden raw method may be asynchronous itself.
            return method if iscoroutinefunction(method) else getattr(self, f"a{name}")
        return method

    def get_decorators(self):
        if self.http_user_and_session:
            from django.channels.auth import channel_and_http_session_user_from_http

            decorators = [channel_and_http_session_user_from_http]
        elif self.http_user:
            from django.channels.auth import channel_session_user_from_http

            decorators = [channel_session_user_from_http]
        else:
            decorators = super().get_decorators()
        if self.strict_ordering:
            from django.channels.sessions import enforce_ordering

            decorators = [*decorators, enforce_ordering]
        return decorators

    async def _call(self, method, *args, **kwargs):
        """Call a method, in a thread unless it is asynchronous."""
        function = method.func if isinstance(method, partial) else method
        if not iscoroutinefunction(function):
            method = sync_to_async(method)
        await method(*args, **kwargs)
        while self._begun:
            await self._begun.pop(0)

    def _get_root(self):
        """Return the consumer of the whole socket."""
        return self if self._stream is None else self._stream.demultiplexer._get_root()

    def _get_groups_to_join(self, **kwargs):
        names = list(self.connection_groups(**kwargs))
        try:
            return [self._get_group(name) for name in names]
        except TypeError as error:
            # What the client asked for is part of the name.
            raise DenyConnection(f"{self.path!r}: {error}") from error

    def _take_groups(self, groups):
        """
        Return the groups to join now.

        Only who is let in may join: what a group gets reaches any member, and
        data accepts a socket. So streams leave it to their demultiplexer.
        """
        root = self._get_root()
        root._to_join += groups
        if root is not self or root._closed:
            return []
        groups, self._to_join = self._to_join, []
        return groups

    def _get_joined_groups(self, **kwargs):
        for name in self.connection_groups(**kwargs):
            try:
                yield self._get_group(name)
            except TypeError:
                # The socket was denied for it.
                continue

    def _get_group(self, name):
        return Group(name, channel_layer=self.message.channel_layer)


def _get_reply(text, data, close):
    """Return the message for a reply channel or a group of them."""
    if text is not None and data is not None:
        raise ValueError("You must pass text or bytes, not both.")
    if text is not None:
        reply = {"text": text}
    elif data is not None:
        reply = {"bytes": data}
    elif close:
        reply = {}
    else:
        raise ValueError("You must pass text, bytes or close.")
    return {**reply, "close": close} if close else reply
