"""
Which entries of a routing can never get a message.

In: the routes of a router, from checks.py. Out: the entries that others hide, and
those for messages that no server sends.
"""

from django.channels.paths import PathRoute
from django.channels.routing import Include, Route

# What servers send to, of the channels that are named after a protocol.
PROTOCOL_CHANNELS = {
    "http": {"http.request", "http.disconnect"},
    "websocket": {
        "websocket.connect",
        "websocket.receive",
        "websocket.gap",
        "websocket.disconnect",
    },
}


def find_unsent(routing):
    """Yield (route, channel, those that are sent) for channels of no server."""
    for route, channels, _ in _walk(routing, frozenset(), 0):
        for channel in sorted(channels):
            sent = PROTOCOL_CHANNELS.get(channel.partition(".")[0], {channel})
            if channel not in sent:
                yield route, channel, sorted(sent)


def find_hidden(routing):
    """
    Yield (route, names of channels, route before it) for entries that are hidden.

    A route hides a later one if it asks for nothing that the later one does not
    ask for as well: both are the same, or the first takes more. Routes of other
    classes say nothing about what they take, and are left out.
    """
    seen = []
    for route, channels, conditions in _walk(routing, frozenset(), 0):
        hidden = {}
        for channel in sorted(channels):
            for earlier, earlier_channels, earlier_conditions in seen:
                if channel in earlier_channels and earlier_conditions <= conditions:
                    hidden.setdefault(id(earlier), (earlier, []))[1].append(channel)
                    break
        for earlier, names in hidden.values():
            yield route, names, earlier
        seen.append((route, channels, conditions))


def _walk(routing, prefixes, depth):
    """Yield (route, channels, conditions) of every route, includes opened."""
    for route in routing:
        if isinstance(route, Include):
            conditions = prefixes | _conditions_of(route.filters, depth)
            inner = depth + bool(route.filters.patterns)
            yield from _walk(route.routing, conditions, inner)
        elif isinstance(route, PathRoute):
            for channels, whole in route.leaves():
                yield whole, channels, prefixes | {(depth, "path()", whole)}
        elif isinstance(route, Route):
            conditions = prefixes | _conditions_of(route.filters, depth)
            yield route, route.channel_names(), conditions


def _conditions_of(filters, depth):
    """
    Return what filters ask for, comparable with others.

    ``depth`` tells which part of the value they see, what prefixes took away.
    """
    return frozenset((depth, *item) for item in filters.patterns.items())
