"""
What routes lead to: consumers, as they are written in a routing.

In: a callable, a class or a dotted path. Out: what to call for a message of each
channel.
"""

from contextlib import ExitStack
from functools import update_wrapper

from asgiref.sync import iscoroutinefunction

from django.channels.exceptions import InvalidRoutingError
from django.channels.importing import import_named
from django.db import DEFAULT_DB_ALIAS, connections, transaction


def resolve_consumer(consumer):
    """
    Return a consumer that may be given as its dotted path.

    Raise InvalidRoutingError if it cannot be imported or called.
    """
    if isinstance(consumer, str):
        consumer = import_named(consumer, f"consumer {consumer!r}", InvalidRoutingError)
    if not callable(consumer):
        raise InvalidRoutingError(f"The consumer {consumer!r} is not callable.")
    return consumer


def consumer_for(consumer, channel, atomic=False):
    """
    Return what to call for a message on a channel.

    A class may tell it in ``for_channel(channel)``, for asynchronous methods. See
    Route for ``atomic``.
    """
    for_channel = getattr(consumer, "for_channel", None)
    called = consumer if for_channel is None else for_channel(channel)
    aliases = _aliases_of(atomic)
    return _make_atomic(called, aliases) if aliases else called


def _aliases_of(atomic):
    """Return the aliases of databases for True, an alias or several."""
    if isinstance(atomic, bool):
        return [DEFAULT_DB_ALIAS] if atomic else []
    aliases = [atomic] if isinstance(atomic, str) else list(atomic)
    for alias in aliases:
        if alias not in connections:
            raise InvalidRoutingError(
                f"atomic must be True, False, or aliases of databases, not {alias!r}: "
                f"DATABASES has {', '.join(connections)}."
            )
    return aliases


def _make_atomic(consumer, aliases):
    """Return a consumer that runs in a transaction of each database."""
    if iscoroutinefunction(consumer) or iscoroutinefunction(
        getattr(consumer, "__call__", None)
    ):
        raise InvalidRoutingError(
            f"The consumer {consumer!r} is asynchronous, so that atomic cannot be "
            f"used: transactions belong to a thread."
        )

    def atomic_consumer(message, **kwargs):
        with ExitStack() as stack:
            for alias in aliases:
                stack.enter_context(transaction.atomic(using=alias))
            return consumer(message, **kwargs)

    return update_wrapper(atomic_consumer, consumer, updated=())
