"""
How the decorators of consumers are made.

Used by sessions.py, auth.py, ordering.py and security/websockets.py.
"""

from contextlib import asynccontextmanager
from functools import wraps

from asgiref.sync import iscoroutinefunction, sync_to_async

from django.channels.message import Message
from django.channels.needs import MARK
from django.db import close_old_connections


def decorator(around, *needs):
    """
    Return a decorator of consumers, of functions and methods, sync and async.

    ``around(message, ahead)`` is a context manager that the consumer runs in. It
    is entered and left in a thread where it may use the database. ``ahead`` is
    true for an ``async def`` consumer: whatever needs the database is to be
    loaded before the consumer runs, which must not wait for it. The decorator
    has it as ``around``, for others to build on. ``needs`` are those of needs.py.
    """

    def decorate(consumer):
        if iscoroutinefunction(consumer):

            @wraps(consumer)
            async def decorated(*args, **kwargs):
                async with _in_thread(around(message_of(consumer, args), True)):
                    return await consumer(*args, **kwargs)

        else:

            @wraps(consumer)
            def decorated(*args, **kwargs):
                with around(message_of(consumer, args), False):
                    return consumer(*args, **kwargs)

        setattr(decorated, MARK, {*needs, *getattr(consumer, MARK, ())})
        return decorated

    decorate.__doc__ = around.__doc__
    decorate.__name__ = decorate.__qualname__ = around.__name__.strip("_")
    decorate.__module__ = around.__module__
    decorate.around = around
    return decorate


def message_of(consumer, args):
    """
    Return the message that a consumer, or a method that is one, is called with.

    Raise ValueError if neither of the first two arguments is a Message.
    """
    for value in args[:2]:
        if isinstance(value, Message):
            return value
    raise ValueError(
        f"{getattr(consumer, '__qualname__', consumer)!r} is decorated as a consumer, "
        f"but was called without a Message as its first argument, or as the one "
        f"behind self."
    )


@asynccontextmanager
async def _in_thread(manager):
    """Enter and leave a context manager in the thread of synchronous code."""
    await _call(manager.__enter__)
    try:
        yield
    except BaseException as error:
        if not await _call(manager.__exit__, type(error), error, error.__traceback__):
            raise
    else:
        await _call(manager.__exit__, None, None, None)


@sync_to_async
def _call(function, *args):
    # The thread outlives the consumer, as a worker's does.
    close_old_connections()
    try:
        return function(*args)
    finally:
        close_old_connections()
