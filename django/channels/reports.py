"""
What servers hear about the messages of ordered sockets.

In: messages that are consumed, from consuming.py and ordering.py, and those of dead
processes, from supervisor.py. Out: websocket.consumed and websocket.consuming, to
the reply channels. See specs/protocols/websocket.rst, section "Order".
"""

import logging
import os
import threading
import time

from django.channels.limits import get_limits

# How often in the server's time limit it hears that a message takes long.
REPORTS_IN_TIME = 4

logger = logging.getLogger("django.channels.worker")


def is_awaited(content):
    """Return whether a server waits for the end of a message."""
    return bool(content.get("confirm") and content.get("reply_channel"))


def add_end(outbox, channel_layer, content, comes_again=False):
    """
    Have the server of a message hear, behind what is in the outbox, that it ended.

    With ``comes_again``, it hears that the message has not.
    """
    if is_awaited(content):
        outbox.add(
            channel_layer, content["reply_channel"], _report(content, comes_again)
        )


def tell_lost(channel_layer, pairs):
    """Have servers hear that nobody consumes these (channel, content) any more."""
    lost = [
        (content["reply_channel"], _report(content))
        for _, content in pairs
        if is_awaited(content)
    ]
    errors = channel_layer.send_batch(lost) if lost else ()
    for error in filter(None, errors):
        logger.warning("Cannot tell a server that a message is lost: %s", error)


def _report(content, goes_on=False):
    kind = "websocket.consuming" if goes_on else "websocket.consumed"
    return {"type": kind, "order": content["order"]}


class Following:
    """
    Tells servers of messages that take long, in a thread that starts with it.

    So that they do not count as lost.
    """

    def __init__(self):
        self._reset()

    def _reset(self):
        self._pid = os.getpid()
        self._changed = threading.Condition(threading.Lock())
        # {id of a message: (message, since when)}
        self._running = {}
        self._thread = None

    def begin(self, message):
        """Follow a message until end(), if its server waits for the end."""
        if not is_awaited(message.content):
            return
        if self._pid != os.getpid():
            # After a fork, the thread is the parent's.
            self._reset()
        if get_limits()["WEBSOCKET_ORDER_SECONDS"] is None:
            return
        with self._changed:
            self._running[id(message)] = message, time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="channels-reports", daemon=True
                )
                self._thread.start()

    def end(self, message):
        """Follow a message no longer."""
        with self._changed:
            self._running.pop(id(message), None)

    def _run(self):
        seconds = get_limits()["WEBSOCKET_ORDER_SECONDS"] / REPORTS_IN_TIME
        while True:
            with self._changed:
                self._changed.wait(seconds)
                if not self._running:
                    self._thread = None
                    return
                late = time.monotonic() - seconds / 2
                messages = [m for m, since in self._running.values() if since < late]
            for message in messages:
                self._tell(message)

    def _tell(self, message):
        try:
            message.channel_layer.send(
                message.reply_channel.name, _report(message.content, goes_on=True)
            )
        except Exception as error:
            logger.warning(
                "Cannot tell a server that a message on %s takes long: %s",
                message.channel,
                error,
            )


# The messages that are consumed in this process.
following = Following()
