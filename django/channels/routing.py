"""
Which consumer gets a message.

In: messages, from the worker. Out: a consumer and its keyword arguments.
"""

import re

from django.channels.exceptions import DenyConnection, InvalidRoutingError
from django.channels.names import validate_receivable
from django.utils.module_loading import import_string


def _compile(key, pattern):
    """Return a filter's regular expression, checked."""
    try:
        regex = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise InvalidRoutingError(
            f"The filter {key}={pattern!r} is not a regular expression: {error}"
        ) from error
    if regex.groups != len(regex.groupindex):
        raise ValueError(
            f"{key}={pattern!r} contains positional groups; only named groups are "
            f"allowed."
        )
    return regex


def _text_of(value):
    """Return the str that filters match for a message's value."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return value if isinstance(value, str) else str(value)


class _Filters:
    """Regular expressions on the keys of a message; all of them must match."""

    def __init__(self, patterns):
        self._regexes = {key: _compile(key, value) for key, value in patterns.items()}

    def match(self, content):
        """Return {key: re.Match} for a message's content, or None."""
        matches = {}
        for key, regex in self._regexes.items():
            if key not in content:
                return None
            match = regex.match(_text_of(content[key]))
            if match is None:
                return None
            matches[key] = match
        return matches


def _kwargs_of(matches):
    kwargs = {}
    for match in matches.values():
        kwargs.update(match.groupdict())
    return kwargs


class Route:
    """
    Sends messages of one or several channels to a consumer.

    ``channels`` is a name or a list of names, ``consumer`` a callable or its
    dotted path, and each filter a regular expression that the message's value
    of that key must match from its beginning. Named groups become keyword
    arguments of the consumer. Raise InvalidRoutingError for a consumer that
    cannot be imported or called, TypeError for a name that cannot be received
    from, ValueError for positional groups.
    """

    def __init__(self, channels, consumer, **filters):
        names = [channels] if isinstance(channels, str) else list(channels)
        self.channels = [validate_receivable(name) for name in names]
        self.consumer = self._resolve(consumer)
        self._filters = _Filters(filters)

    def channel_names(self):
        """Return the set of the channels that the route takes messages of."""
        return set(self.channels)

    def match(self, message):
        """Return (consumer, kwargs) for a message, None if it goes elsewhere."""
        if message.channel.name not in self.channels:
            return None
        matches = self._filters.match(message.content)
        if matches is None:
            return None
        return self.consumer, _kwargs_of(matches)

    def _resolve(self, consumer):
        if isinstance(consumer, str):
            try:
                consumer = import_string(consumer)
            except (ImportError, AttributeError) as error:
                raise InvalidRoutingError(
                    f"Cannot import consumer {consumer!r}: {error}"
                ) from error
        if not callable(consumer):
            raise InvalidRoutingError(f"The consumer {consumer!r} is not callable.")
        return consumer


class RouteClass(Route):
    """
    Sends the messages of a class' own channels to it.

    The class says which in a class method ``channel_names()``. See Route for
    the rest. Raise ValueError if there is no such method.
    """

    def __init__(self, consumer, **filters):
        super().__init__([], consumer, **filters)
        names = getattr(self.consumer, "channel_names", None)
        if not callable(names):
            raise ValueError(
                f"The consumer {self.consumer!r} passed to RouteClass has no valid "
                f"channel_names method."
            )
        self.channels = [validate_receivable(name) for name in names()]


class Include:
    """
    Hands messages on to another routing.

    ``routing`` is a list, a dict or a dotted path of one. Each prefix is a
    regular expression that the message's value of that key must match; what it
    matched is taken away before the other routing looks. Raise
    InvalidRoutingError for a routing that cannot be loaded.
    """

    def __init__(self, routing, **prefixes):
        self.routing = resolve_routing(routing)
        self._filters = _Filters(prefixes)

    def channel_names(self):
        """Return the set of the channels of every route inside."""
        return set().union(*(route.channel_names() for route in self.routing))

    def match(self, message):
        """Return (consumer, kwargs) for a message, None if it goes elsewhere."""
        matches = self._filters.match(message.content)
        if matches is None:
            return None
        inner = _Stripped(message, matches)
        for route in self.routing:
            if found := route.match(inner):
                consumer, kwargs = found
                return consumer, {**_kwargs_of(matches), **kwargs}
        return None


class _Stripped:
    """What an included routing sees of a message: without the prefixes."""

    def __init__(self, message, matches):
        self.channel = message.channel
        self.content = dict(message.content)
        for key, match in matches.items():
            self.content[key] = match.string[match.end() :]


def resolve_routing(routing):
    """
    Return a list of routes for a list, a dict {channel: consumer} or the dotted
    path of either. Raise InvalidRoutingError if it is none of them.
    """
    if isinstance(routing, str):
        try:
            routing = import_string(routing)
        except (ImportError, AttributeError) as error:
            raise InvalidRoutingError(
                f"Cannot import channel routing {routing!r}: {error}"
            ) from error
    if isinstance(routing, dict):
        return [Route(channel, consumer) for channel, consumer in routing.items()]
    if not isinstance(routing, (list, tuple)):
        raise InvalidRoutingError(
            f"A channel routing must be a list, a dict or a dotted path, not "
            f"{routing!r}."
        )
    for route in routing:
        if not callable(getattr(route, "match", None)):
            raise InvalidRoutingError(
                f"{route!r} in a channel routing is not a route: use route(), "
                f"route_class() or include()."
            )
    return list(routing)


class Router:
    """
    The routes of one layer; the first one that matches wins.

    With ``with_defaults``, messages of the protocols that no route takes go to
    Django's own consumers: HTTP requests to the views.
    """

    def __init__(self, routing, with_defaults=False):
        self.root = resolve_routing(routing)
        self.channels = set()
        for route in self.root:
            self.channels |= route.channel_names()
        if with_defaults:
            self._add_defaults()

    def add_route(self, route):
        """Add a route behind the others."""
        self.root.append(route)
        self.channels |= route.channel_names()

    def match(self, message):
        """Return (consumer, kwargs) for a message, None if no route takes it."""
        for route in self.root:
            if found := route.match(message):
                return found
        return None

    def _add_defaults(self):
        from django.channels.handler import ViewConsumer

        # A project that says which sockets it wants gets no others.
        connect = (
            deny_consumer if "websocket.connect" in self.channels else connect_consumer
        )
        self.add_route(Route("http.request", ViewConsumer()))
        self.add_route(Route("websocket.connect", connect))
        self.add_route(
            Route(
                [
                    "websocket.receive",
                    "websocket.gap",
                    "websocket.disconnect",
                    "http.disconnect",
                ],
                null_consumer,
            )
        )


def null_consumer(message, **kwargs):
    """Do nothing."""


def connect_consumer(message, **kwargs):
    """Accept a socket."""
    message.reply_channel.send({"accept": True})


def deny_consumer(message, **kwargs):
    """Reject a socket whose path no route of the project takes."""
    raise DenyConnection(f"No route takes websocket.connect for {message['path']!r}.")


route = Route
route_class = RouteClass
include = Include
