"""
How the clients of tests have messages consumed: as workers do, and told of errors.

In: messages, from clients.py. Out: what became of them.
"""

from django.channels.sender import DirectSender
from django.channels.worker import Worker


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

    @property
    def has_failed(self):
        """Whether something was raised before the consumer ran, or by it."""
        return self._get_error() is not None

    def get_result(self):
        """Return what the consumer returned, or raise what it raised."""
        if self.has_failed:
            raise self._get_error()
        return self.last_run.result

    def _get_error(self):
        return self._error or (self.last_run and self.last_run.error)

    def _find(self, channel, content):
        self.last_run = super()._find(channel, content)
        return self.last_run

    def _report(self, error, channel, content):
        super()._report(error, channel, content)
        self._error = error
