"""
What tests assert about messages: those sent, and those that wait.

In: layers of layers.py, and transactions. Out: AssertionErrors that list what there
is instead.
"""

from contextlib import contextmanager

from django.channels import DEFAULT_CHANNEL_LAYER, channel_layers
from django.db import DEFAULT_DB_ALIAS, connections

from .layers import SentMessage, describe, take_message


class MessageAssertions:
    """
    Assertions about messages, for test cases whose layers are in memory.

    A channel is given by name, or a group by ``group``; ``content``, a dict, is all
    that the message consists of.
    """

    def get_sent_messages(self, alias=DEFAULT_CHANNEL_LAYER):
        """Return the SentMessages of a layer so far, the latest last."""
        return list(channel_layers[alias].sent_messages)

    def get_queued_on_commit(self, using=DEFAULT_DB_ALIAS, alias=DEFAULT_CHANNEL_LAYER):
        """Return the SentMessages that wait for the commit of a database."""
        queued = [
            function.queued
            for _, function, _ in connections[using].run_on_commit
            if hasattr(function, "queued")
        ]
        layer = channel_layers[alias]
        return [SentMessage(*sent) for sent_to, *sent in queued if sent_to is layer]

    @contextmanager
    def captureMessages(self, alias=DEFAULT_CHANNEL_LAYER):
        """Give a list that has the SentMessages of the block, after it."""
        before, captured = len(self.get_sent_messages(alias)), []
        try:
            yield captured
        finally:
            captured += self.get_sent_messages(alias)[before:]

    def assertMessageSent(
        self,
        channel=None,
        content=None,
        count=None,
        group=None,
        alias=DEFAULT_CHANNEL_LAYER,
    ):
        """
        Fail unless a message was sent, whether or not it was received.

        ``count`` is how many there must be; without it, one is enough. Return the
        content of the last one.
        """
        sent = self.get_sent_messages(alias)
        return self._check_found("sent", sent, channel, group, content, count)

    def assertNoMessageSent(
        self, channel=None, content=None, group=None, alias=DEFAULT_CHANNEL_LAYER
    ):
        """Fail if a message was sent, whether or not it was received."""
        sent = self.get_sent_messages(alias)
        self._check_found("sent", sent, channel, group, content, 0)

    def assertQueuedOnCommit(
        self,
        channel=None,
        content=None,
        count=None,
        group=None,
        using=DEFAULT_DB_ALIAS,
        alias=DEFAULT_CHANNEL_LAYER,
    ):
        """
        Fail unless a message waits for the commit of the database ``using``.

        See assertMessageSent() for the rest.
        """
        sent = self.get_queued_on_commit(using, alias)
        return self._check_found("queued", sent, channel, group, content, count)

    def assertNoMessage(self, channel, alias=DEFAULT_CHANNEL_LAYER):
        """Fail if a message waits on a channel to be received; take it then."""
        message = take_message(channel_layers[alias], channel)
        if message is not None:
            self.fail(f"{message.content!r} waits on channel {channel!r}.")

    def _check_found(self, verb, sent, channel, group, content, count):
        if (channel is None) == (group is None):
            raise TypeError("Give a channel or a group, one of the two.")
        name, to_group = (channel, False) if group is None else (group, True)
        found = [
            message.content
            for message in sent
            if (message.name, message.to_group) == (str(name), to_group)
            and (content is None or message.content == content)
        ]
        if count is None and found or count == len(found):
            return found[-1] if found else None
        wanted = "a message" if content is None else repr(content)
        expected = "at least once" if count is None else f"{count} times"
        listed = "".join(f"\n  {message}" for message in sent) or " nothing"
        self.fail(
            f"{wanted} to {describe(str(name), to_group)} was {verb} {len(found)} "
            f"times, not {expected}. What was {verb}:{listed}"
        )
