"""
How the clients of tests have messages consumed: as workers do, and told of errors.

In: messages, from clients.py. Out: what became of them.
"""

from contextlib import contextmanager

from asgiref.sync import sync_to_async

from django.channels.worker import Worker
from django.channels.worker.sender import DirectSender
from django.db import connections

# The method of connections to databases that ends those which are too old.
CLOSING = "close_if_unusable_or_obsolete"


@contextmanager
def connections_kept():
    """
    Have the connections to databases that this thread has stay open.

    Workers close them around each consumer, which would end the transaction of a
    TestCase.
    """
    kept = [
        connection
        for connection in connections.all(initialized_only=True)
        if CLOSING not in vars(connection)
    ]
    for connection in kept:
        setattr(connection, CLOSING, lambda: None)
    try:
        yield
    finally:
        for connection in kept:
            delattr(connection, CLOSING)


class ImpatientSender(DirectSender):
    """Sends without the delay that a retry otherwise has."""

    def send(self, outbox, delay=0):
        super().send(outbox)

    async def asend(self, outbox, delay=0):
        self.send(outbox)


class ClientWorker(Worker):
    """
    Consumes single messages in the thread of a test.

    ``get_result()`` tells what came of the latest.
    """

    def __init__(self, channel_layer):
        super().__init__(channel_layer, signal_handlers=False)
        self.sender = ImpatientSender()
        # The Run of the message, None if no route took it.
        self.last_run = None
        self._error = None

    def consume(self, channel, content):
        with connections_kept():
            super().consume(channel, content)

    async def aconsume(self, channel, content):
        # In the thread of synchronous code, which has the test's connections.
        context = connections_kept()
        await sync_to_async(context.__enter__)()
        try:
            await super().aconsume(channel, content)
        finally:
            await sync_to_async(context.__exit__)(None, None, None)

    @property
    def has_failed(self):
        """Whether something was raised before the consumer ran, or by it."""
        return self._error is not None

    def get_result(self):
        """Return what the consumer returned, or raise what it raised."""
        if self.has_failed:
            raise self._error
        return self.last_run.result

    def note_failure(self, error):
        self._error = error

    def _find(self, channel, content):
        self._error = None
        self.last_run = super()._find(channel, content)
        return self.last_run

    def _report(self, error, channel, content):
        super()._report(error, channel, content)
        self._error = error
