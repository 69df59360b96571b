"""
The base of class-based consumers.

In: a message, by calling the class. Out: a call of the method for its channel.
"""

import inspect

from asgiref.sync import iscoroutinefunction

from django.channels.exceptions import InvalidRoutingError
from django.channels.names import queue_of
from django.channels.routing import route_class


class BaseConsumer:
    """
    A consumer with a method for each channel.

    ``method_mapping`` has the name of the method for each channel. Every message
    gets an instance of its own, with ``self.message`` and, in ``self.kwargs``,
    what the route captured; the method is called with both. It may be an
    ``async def``.

    ``channel_session`` and ``channel_session_user`` decorate the methods with the
    functions of that name.
    """

    method_mapping = {}
    channel_session = False
    channel_session_user = False

    def __init__(self, message, **kwargs):
        self.message = message
        self.kwargs = kwargs
        # The coroutine of a method that is asynchronous.
        self._running = self.dispatch(message, **kwargs)

    @classmethod
    def channel_names(cls):
        """Return the set of the channels that the class takes messages of."""
        return set(cls.method_mapping)

    @classmethod
    def as_consumer(cls, **attrs):
        """Return a subclass with other attributes, as for a path()."""
        if not attrs:
            return cls
        own = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
        return type(cls.__name__, (cls,), {**own, **attrs})

    @classmethod
    def as_route(cls, attrs=None, **filters):
        """
        Return a route to the class, or to a subclass with other attributes.

        See route_class() for the rest. Raise TypeError if ``attrs`` is no dict.
        """
        if attrs is not None and not isinstance(attrs, dict):
            raise TypeError(f"attrs must be a dict of attributes, not {attrs!r}.")
        return route_class(cls.as_consumer(**(attrs or {})), **filters)

    @classmethod
    def is_async(cls, channel):
        """Return whether a method for a channel is a coroutine function."""
        return any(map(iscoroutinefunction, cls.methods_for(channel)))

    @classmethod
    def methods_for(cls, channel):
        """Return all methods that a message on a channel may come to."""
        return [getattr(cls, cls.method_mapping[channel])]

    @classmethod
    def for_channel(cls, channel):
        """
        Return what to call for a message on a channel: the class, or a coroutine
        function if the method is one.

        Raise InvalidRoutingError if there is no method for it, or one that yields.
        """
        name = cls.method_mapping.get(channel)
        if not callable(getattr(cls, str(name), None)):
            raise InvalidRoutingError(
                f"{cls.__qualname__} has no method for messages on {channel}; its "
                f"method_mapping has {cls.method_mapping}."
            )
        for method in cls.methods_for(channel):
            if inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(
                method
            ):
                raise InvalidRoutingError(
                    f"{method.__qualname__}() yields: calling it would do nothing."
                )
        if not cls.is_async(channel):
            return cls

        async def consumer(message, **kwargs):
            await cls(message, **kwargs)._running

        consumer.__module__, consumer.__qualname__ = cls.__module__, cls.__qualname__
        return consumer

    def get_handler(self, message, **kwargs):
        """Return the method for a message, with the decorators that are asked for."""
        handler = self.get_method(queue_of(message.channel.name))
        for decorator in self.get_decorators():
            handler = decorator(handler)
        return handler

    def dispatch(self, message, **kwargs):
        """Call the method for a message; return what it returns."""
        return self.get_handler(message, **kwargs)(message, **kwargs)

    def get_method(self, channel):
        """Return the method for a channel."""
        return getattr(self, self.method_mapping[channel])

    def get_decorators(self):
        """Return the decorators of the method, the innermost first."""
        # Not before they are asked for: authentication may not be installed.
        if self.channel_session_user:
            from django.channels.auth import channel_session_user

            return [channel_session_user]
        if self.channel_session:
            from django.channels.sessions import channel_session

            return [channel_session]
        return []
