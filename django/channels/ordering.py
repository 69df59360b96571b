"""
Consumers that take the messages of a socket one after the other.

In: messages, from the decorated consumers. Out: calls of them.
"""

from contextlib import contextmanager

from django.channels.decorating import decorator


@contextmanager
def _enforce_ordering(message, ahead):
    """Have the messages of a socket consumed one after the other."""
    yield


def enforce_ordering(consumer=None, slight=False):
    """Have the messages of a socket consumed one after the other."""
    decorate = decorator(_enforce_ordering)
    return decorate if consumer is None else decorate(consumer)
