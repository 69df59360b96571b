"""What of a batch may be sent, while its messages are sent one by one."""

from django.channels.exceptions import MessageTooLarge
from django.channels.names import queue_of


class Batch:
    """The items of a batch that may be sent, and the results of all."""

    def __init__(self, messages):
        self.results = []
        # The channels of messages that were refused without a try.
        self.untried = []
        self._messages = messages
        self._full = {}

    def __iter__(self):
        for channel, message in self._messages:
            if isinstance(message, MessageTooLarge):
                self.results.append(message)
            elif error := self._full.get(queue_of(channel)):
                self.results.append(error)
                self.untried.append(channel)
            else:
                yield channel, message

    def sent(self):
        """Note that the last message was sent."""
        self.results.append(None)

    def full(self, channel, error):
        """Note that the last message was refused, and so will be those behind."""
        self._full[queue_of(channel)] = error
        self.results.append(error)
