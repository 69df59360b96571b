"""
What servers hear about the messages of ordered sockets, and of unfinished responses.

In: messages that are consumed, from runs.py and ordering.py, responses that have
begun, from responses.py, and those of dead processes, from supervisor.py. Out:
websocket.consumed, websocket.consuming and http.response, to the reply channels. See
specs/protocols/websocket.rst, section "Order", and http.rst, section "The response".
"""

import logging
import os
import threading
import time

from django.channels.limits import get_limits

# How often in the server's time limit it hears that a message takes long.
REPORTS_IN_TIME = 4
# What counts as that limit where there is none.
IDLE_SECONDS = 60

# What stands for the order of a response: that of no message.
RESPONSE = -1
# The response of a process that died. A server that has passed on the beginning of
# another one cuts that off.
UNAVAILABLE = {
    "type": "http.response",
    "status": 503,
    "headers": [[b"Content-Type", b"text/plain; charset=utf-8"]],
    "content": b"The worker process ended before it answered.\n",
}

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
        report = _report(content["order"], comes_again)
        outbox.add(channel_layer, content["reply_channel"], report)


def tell_dropped(channel_layer, content):
    """Have the server of a message, if it waits, hear that nobody consumes it."""
    if is_awaited(content):
        tell_lost(channel_layer, [(content["reply_channel"], content["order"])])


def tell_lost(channel_layer, awaited):
    """
    Have servers hear that nobody consumes these (reply channel, order) any more.

    An order of RESPONSE stands for a response that will not end, or not begin.
    """
    reports = [
        (name, UNAVAILABLE if order == RESPONSE else _report(order))
        for name, order in awaited
    ]
    try:
        errors = channel_layer.send_batch(reports) if reports else []
    except Exception as error:
        errors = [error]
    if errors := [error for error in errors if error is not None]:
        logger.warning("Servers wait for messages that are lost: %s", errors[0])


def _report(order, goes_on=False):
    kind = "websocket.consuming" if goes_on else "websocket.consumed"
    return {"type": kind, "order": order}


class Following:
    """
    The messages that are consumed here and whose servers wait for the end.

    A thread that starts with them tells the servers of those that take long, so
    that they do not count as lost. ``journal`` is a Journal, if a supervisor is to
    tell the servers if this process dies.
    """

    def __init__(self):
        self.journal = None
        self._reset()

    def _reset(self):
        self._pid = os.getpid()
        self._changed = threading.Condition(threading.Lock())
        # {id of a message: (message, since when, slot in the journal)}
        self._running = {}
        self._thread = None

    def begin(self, message):
        """Follow a message until end(), if its server waits for the end."""
        if not is_awaited(message.content):
            return
        self._look_for_fork()
        with self._changed:
            slot = None
            if self.journal is not None:
                name = message.reply_channel.name
                slot = self.journal.await_end(name, message["order"])
            self._running[id(message)] = message, time.monotonic(), slot
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="channels-reports", daemon=True
                )
                self._thread.start()

    def end(self, message, comes_again=False):
        """Follow a message no longer."""
        with self._changed:
            _, _, slot = self._running.pop(id(message), (None, None, None))
            if slot is not None:
                self.journal.end(slot, comes_again)

    def begin_response(self, reply_channel):
        """
        Have the server of a reply channel, a str, hear if this process dies.

        Return what end_response() takes.
        """
        self._look_for_fork()
        with self._changed:
            if self.journal is not None:
                return self.journal.await_end(reply_channel, RESPONSE)

    def end_response(self, slot):
        """Leave it to others to end the response, or to nobody."""
        self._look_for_fork()
        with self._changed:
            if slot is not None and self.journal is not None:
                self.journal.end(slot, comes_again=True)

    def _look_for_fork(self):
        if self._pid != os.getpid():
            # After a fork, thread and journal are the parent's.
            self.journal = None
            self._reset()

    def _run(self):
        seconds = get_limits()["WEBSOCKET_ORDER_SECONDS"]
        # Where nothing counts as lost, it only looks whether it is needed.
        interval = (seconds or IDLE_SECONDS) / REPORTS_IN_TIME
        while True:
            with self._changed:
                self._changed.wait(interval)
                if not self._running:
                    self._thread = None
                    return
                late = time.monotonic() - interval / 2
                running = list(self._running.values())
            for message, since, _ in running if seconds else ():
                if since < late:
                    self._tell(message)

    def _tell(self, message):
        try:
            report = _report(message["order"], goes_on=True)
            message.channel_layer.send(message.reply_channel.name, report)
        except Exception as error:
            logger.warning(
                "Cannot tell a server that a message on %s takes long: %s",
                message.channel,
                error,
            )


# The messages that are consumed in this process.
following = Following()
