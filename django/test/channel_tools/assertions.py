"""
What tests assert about messages: those sent, and those that wait.

In: layers of layers.py, and transactions. Out: AssertionErrors that list what there
is instead.
"""

from contextlib import contextmanager

from django.channels import DEFAULT_CHANNEL_LAYER, Group
from django.channels.names import validate_channel, validate_group
from django.db import DEFAULT_DB_ALIAS, connections

from .layers import SentMessage, describe, get_test_layer, name_of, take_message


class MessageAssertions:
    """
    Assertions about messages, for test cases whose layers are in memory.

    A channel is given by name, or a group by ``group``; ``content``, a dict, is all
    that the message consists of. Raise TypeError for what cannot have been sent,
    ImproperlyConfigured for the alias of a layer that is none of the test.
    """

    def get_sent_messages(self, alias=DEFAULT_CHANNEL_LAYER):
        """Return the SentMessages of a layer so far, the latest last."""
        return list(get_test_layer(alias).sent_messages)

    def get_queued_on_commit(self, using=DEFAULT_DB_ALIAS, alias=DEFAULT_CHANNEL_LAYER):
        """Return the SentMessages that wait for the commit of a database."""
        queued = [
            function.queued
            for _, function, _ in connections[using].run_on_commit
            if hasattr(function, "queued")
        ]
        layer = get_test_layer(alias)
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
        name = name_of(channel)
        message = take_message(get_test_layer(alias), name)
        if message is not None:
            self.fail(f"{message.content!r} waits on channel {name!r}.")

    def _check_found(self, verb, sent, channel, group, content, count):
        name, to_group = _get_destination(channel, group)
        _check_wish(content, count)
        found = [
            message.content
            for message in sent
            if (message.name, message.to_group) == (name, to_group)
            and (content is None or message.content == content)
        ]
        if count is None and found or count == len(found):
            return found[-1] if found else None
        wanted = "a message" if content is None else repr(content)
        expected = "at least once" if count is None else f"{count} times"
        listed = "".join(f"\n  {message}" for message in sent) or " nothing"
        self.fail(
            f"{wanted} to {describe(name, to_group)} was {verb} {len(found)} "
            f"times, not {expected}. What was {verb}:{listed}"
        )


def _get_destination(channel, group):
    """Return (name, whether it is a group's); raise TypeError for what is none."""
    if (channel is None) == (group is None):
        raise TypeError(
            f"Give a channel or a group, one of the two, not channel={channel!r} and "
            f"group={group!r}."
        )
    if group is None:
        return validate_channel(name_of(channel)), False
    return validate_group(name_of(group, Group)), True


def _check_wish(content, count):
    """Raise TypeError for content and counts that no messages can have."""
    if content is not None and not isinstance(content, dict):
        raise TypeError(f"content must be a dict or None, not {content!r}.")
    is_number = isinstance(count, int) and not isinstance(count, bool)
    if count is not None and not (is_number and count >= 0):
        raise TypeError(f"count must be an int of at least 0 or None, not {count!r}.")
