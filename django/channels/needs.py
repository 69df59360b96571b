"""
What the consumers of a routing need besides messages.

In: the routes of a router, and the marks of decorating.py on consumers. Out: sets
of needs, for checks.py and sessions.py.
"""

import weakref
from functools import partial
from inspect import getattr_static

from django.channels.exceptions import InvalidRoutingError
from django.channels.targets import resolve_consumer

# The session of the connection, the session of the browser, users, and order.
CHANNEL_SESSION = "channel_session"
HTTP_SESSION = "http_session"
USER = "user"
ORDER = "order"

# Where a decorated consumer keeps its needs.
MARK = "_channels_needs"
# What the attributes of class-based consumers ask for.
_ATTRIBUTES = {
    "channel_session": {CHANNEL_SESSION},
    "channel_session_user": {CHANNEL_SESSION, USER},
    "http_user": {CHANNEL_SESSION, HTTP_SESSION, USER},
    "http_user_and_session": {CHANNEL_SESSION, HTTP_SESSION, USER},
    "strict_ordering": {ORDER},
}

_known = weakref.WeakKeyDictionary()


def needs_of_router(router):
    """Return the set of the needs of all consumers that a Router leads to."""
    if router not in _known:
        consumers = consumers_of(router.root)
        _known[router] = set().union(*map(needs_of, consumers))
    return _known[router]


def consumers_of(routing):
    """
    Yield the consumers of routes, those of includes and paths as well.

    Routes of other classes are left out: nothing is known of them.
    """
    for route in routing:
        if hasattr(route, "routing"):
            yield from consumers_of(route.routing)
        elif hasattr(route, "targets"):
            for target in route.targets():
                yield from target.values() if isinstance(target, dict) else [target]
        elif hasattr(route, "consumer"):
            yield route.consumer


def needs_of(consumer):
    """Return the set of the needs of a consumer: a callable or its dotted path."""
    if isinstance(consumer, str):
        try:
            consumer = resolve_consumer(consumer)
        except InvalidRoutingError:
            # That is somebody else's to say.
            return set()
    if isinstance(consumer, partial):
        consumer = consumer.func
    needs = set(_marks_of(consumer))
    for name, asked_for in _ATTRIBUTES.items():
        if getattr(consumer, name, False) is True:
            needs |= asked_for
    cls = consumer if isinstance(consumer, type) else type(consumer)
    for name in dir(cls):
        needs |= _marks_of(getattr_static(cls, name, None))
    streams = getattr(consumer, "consumers", None)
    if isinstance(streams, dict):
        needs = needs.union(*map(needs_of, streams.values()))
    return needs


def _marks_of(consumer):
    marks = getattr(consumer, MARK, None)
    return marks if isinstance(marks, set) else set()
