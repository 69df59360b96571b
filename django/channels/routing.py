"""
Which consumer gets a message.

In: messages, from the worker. Out: a consumer and its keyword arguments.
"""

from django.channels.defaults import connect_consumer, deny_consumer, null_consumer
from django.channels.exceptions import InvalidRoutingError
from django.channels.filters import Filters, kwargs_of
from django.channels.importing import import_named
from django.channels.names import queue_of, validate_receivable
from django.channels.paths import (
    PathRoute,
    UrlConf,
    is_path,
    join_prefixes,
    not_a_path,
    path,
    re_path,
    reverse,
    reverse_lazy,
)
from django.channels.targets import consumer_for, resolve_consumer
from django.utils.functional import cached_property

__all__ = [
    "Include",
    "Route",
    "RouteClass",
    "Router",
    "connect_consumer",
    "deny_consumer",
    "include",
    "null_consumer",
    "path",
    "re_path",
    "resolve_routing",
    "reverse",
    "reverse_lazy",
    "route",
    "route_class",
]


class Route:
    """
    Sends messages of one or several channels to a consumer.

    ``channels`` is a name or a list of names, ``consumer`` a callable or its
    dotted path, and each filter a regular expression that the message's value
    of that key must match from its beginning. Named groups become keyword
    arguments of the consumer. With ``atomic``, the consumer runs in a transaction
    of the default database, or of those whose alias or list of aliases it is.

    Raise InvalidRoutingError for a consumer that cannot be imported or called, or
    that is asynchronous and atomic, TypeError for a name that cannot be received
    from, ValueError for positional groups.
    """

    def __init__(self, channels, consumer, atomic=False, **filters):
        self.consumer = resolve_consumer(consumer)
        self.filters = Filters(filters)
        names = [channels] if isinstance(channels, str) else list(channels)
        self.channels = [validate_receivable(name) for name in names]
        self._consumers = {
            name: consumer_for(self.consumer, name, atomic) for name in self.channels
        }

    def __str__(self):
        filters = [f"{key}={value!r}" for key, value in self.filters.patterns.items()]
        return ", ".join([*self.channels, *filters])

    def channel_names(self):
        """Return the set of the channels that the route takes messages of."""
        return set(self.channels)

    def match(self, message):
        """Return (consumer, kwargs) for a message, None if it goes elsewhere."""
        consumer = self._consumers.get(queue_of(message.channel.name))
        if consumer is None:
            return None
        matches = self.filters.match(message.content)
        if matches is None:
            return None
        return consumer, kwargs_of(matches)


class RouteClass(Route):
    """
    Sends the messages of a class' own channels to it.

    The class says which in a class method ``channel_names()``. See Route for
    the rest. Raise ValueError if there is no such method.
    """

    def __init__(self, consumer, atomic=False, **filters):
        consumer = resolve_consumer(consumer)
        names = getattr(consumer, "channel_names", None)
        if not callable(names):
            raise ValueError(
                f"The consumer {consumer!r} passed to RouteClass has no valid "
                f"channel_names method."
            )
        super().__init__(names(), consumer, atomic, **filters)


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
        self.filters = Filters(prefixes)

    def channel_names(self):
        """Return the set of the channels of every route inside."""
        return set().union(*map(get_channel_names, self.routing))

    def match(self, message):
        """Return (consumer, kwargs) for a message, None if it goes elsewhere."""
        matches = self.filters.match(message.content)
        if matches is None:
            return None
        content = {
            **message.content,
            **{key: match.string[match.end() :] for key, match in matches.items()},
        }
        inner = message.with_content(content)
        for route in self.routing:
            if found := route.match(inner):
                consumer, kwargs = found
                return consumer, {**kwargs_of(matches), **kwargs}
        return None

    def path_patterns(self, prefix=""):
        """See PathRoute.path_patterns()."""
        prefix = join_prefixes(prefix, self.filters.patterns.get("path", ""))
        return get_path_patterns(self.routing, prefix)

    def all_path_patterns(self):
        """
        Return the patterns of all routes, for a path() that includes them.

        Raise InvalidRoutingError if one is no path, or if there is a prefix.
        """
        if self.filters.patterns:
            raise InvalidRoutingError(
                f"An include() with prefixes, {self.filters.patterns}, cannot be "
                f"included by a path, which is a prefix itself."
            )
        patterns = []
        for route in self.routing:
            if isinstance(route, PathRoute):
                patterns.append(route.pattern)
            elif isinstance(route, Include):
                patterns += route.all_path_patterns()
            else:
                raise not_a_path(route)
        return patterns


def get_channel_names(route):
    """Return the set of the channels that a route says it takes messages of."""
    names = getattr(route, "channel_names", None)
    return set() if names is None else set(names())


def get_path_patterns(routing, prefix=""):
    """See PathRoute.path_patterns(). ``routing`` is a list of routes."""
    patterns = []
    for route in routing:
        if hasattr(route, "path_patterns"):
            patterns += route.path_patterns(prefix)
    return patterns


def resolve_routing(routing):
    """
    Return a list of routes for a list, a dict {channel: consumer} or the dotted
    path of either. Raise InvalidRoutingError if it is none of them.
    """
    if isinstance(routing, str):
        routing = import_named(
            routing, f"channel routing {routing!r}", InvalidRoutingError
        )
    if isinstance(routing, dict):
        return [Route(channel, consumer) for channel, consumer in routing.items()]
    if not isinstance(routing, (list, tuple)):
        raise InvalidRoutingError(
            f"A channel routing must be a list, a dict or a dotted path, not "
            f"{routing!r}."
        )
    return [_resolve_route(route) for route in routing]


def _resolve_route(route):
    if is_path(route):
        return PathRoute(route)
    if not callable(getattr(route, "match", None)):
        raise InvalidRoutingError(
            f"{route!r} in a channel routing is not a route: use route(), "
            f"route_class(), include() or path()."
        )
    return route


class Router:
    """
    The routes of one layer; the first one that matches wins.

    With ``with_defaults``, messages of the protocols that no route takes go to
    Django's own consumers: HTTP requests to the views.
    """

    def __init__(self, routing, with_defaults=False):
        # A tuple, so that nobody changes it without add_route().
        self.root = tuple(resolve_routing(routing))
        # Without Django's own, which may come behind.
        self.project_routes = self.root
        self.channels = set().union(*map(get_channel_names, self.root))
        # The routes that may take messages of a channel, by its name.
        self._candidates = {}
        if with_defaults:
            self.check_default()

    def add_route(self, route):
        """Add a route behind the others."""
        route = _resolve_route(route)
        self.root += (route,)
        self.channels |= get_channel_names(route)
        self._candidates = {}

    def match(self, message):
        """Return (consumer, kwargs) for a message, None if no route takes it."""
        name = queue_of(message.channel.name)
        candidates = self._candidates.get(name)
        if candidates is None:
            candidates = self._find_candidates(name)
        for route in candidates:
            if found := route.match(message):
                return found
        return None

    def _find_candidates(self, name):
        """Return the routes that take messages of a channel, or do not tell."""
        if name not in self.channels:
            # Only such as do not tell; there is no end of such names.
            return self.root
        candidates = [
            route
            for route in self.root
            if not hasattr(route, "channel_names") or name in route.channel_names()
        ]
        self._candidates[name] = candidates
        return candidates

    @cached_property
    def urlconf(self):
        """What django.urls.reverse() takes as a URLconf to find paths by name."""
        return UrlConf(get_path_patterns(self.root))

    def check_default(self, http_consumer=None):
        """
        Add the routes of Django's own consumers behind the others.

        ``http_consumer`` takes the place of the views.
        """
        from django.channels.handler import ViewConsumer

        # A project that says which sockets it wants gets no others.
        connect = (
            deny_consumer if "websocket.connect" in self.channels else connect_consumer
        )
        rest = [
            "websocket.receive",
            "websocket.gap",
            "websocket.disconnect",
            "http.disconnect",
        ]
        self.add_route(Route("http.request", http_consumer or ViewConsumer()))
        self.add_route(Route("websocket.connect", connect))
        self.add_route(Route(rest, null_consumer))


route = Route
route_class = RouteClass
include = Include
