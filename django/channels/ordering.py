"""
Consumers that take the messages of a socket one after the other.

In: messages, from the decorated consumers. Out: for a connect, the wish for order,
to the server of the socket; see specs/protocols/websocket.rst, section "Order".
"""

from contextlib import contextmanager

from django.channels.decorating import decorator
from django.channels.needs import ORDER
from django.channels.worker import reports


@contextmanager
def _enforce_ordering(message, ahead):
    """Have the messages of a socket consumed one after the other."""
    if message.reply_channel is None or "order" not in message:
        raise ValueError(
            f"enforce_ordering needs a message with a reply channel and an order, as "
            f"those of sockets have, not {message!r}."
        )
    if message.channel.name == "websocket.connect":
        _ask_for_order(message)
    elif message.channel.name == "websocket.receive" and not message.get("ordered"):
        raise ValueError(
            "enforce_ordering on websocket.receive orders nothing, because the "
            "consumer that took the websocket.connect of this socket does not have it. "
            "Decorate both."
        )
    yield


def _ask_for_order(message):
    # None: the server knows no order, or it is a test's message.
    if message.get("ordered") is not False or message.get("confirm"):
        return
    message["confirm"] = True
    reports.following.begin(message)
    # Before an accept, even one that leaves immediately.
    message.reply_channel.send({"type": "websocket.ordered"}, immediately=True)


_decorate = decorator(_enforce_ordering, ORDER)


def enforce_ordering(consumer=None, slight=False):
    """
    Have the messages of a socket consumed one after the other.

    Decorate the consumers of websocket.connect and of what follows. The next
    message is consumed when the last consumer has ended, in whatever worker. With
    ``slight``, only the connect comes before the rest; that always holds, so that
    nothing is asked for.
    """
    if slight:
        return _keep if consumer is None else consumer
    return _decorate if consumer is None else _decorate(consumer)


def _keep(consumer):
    return consumer
