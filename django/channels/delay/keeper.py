"""
Messages on their way into the database, each of which gets there once.

In: unsaved messages, from worker.py. Out: rows of DelayedMessage.
"""

import logging

from django.channels.delay.models import DelayedMessage
from django.db import Error, connections, transaction
from django.utils import timezone

# How often a message that the database refuses is tried, while others can be stored.
MAX_SAVES = 8

logger = logging.getLogger("django.channels.delay")


class Keeper:
    """
    Stores messages in the database ``using``.

    What could not be stored stays in ``unsaved``. After an error, messages are
    stored one by one, so that one that the database refuses holds up no other.
    """

    def __init__(self, using):
        self.unsaved = []
        self._using = using
        self._rows = DelayedMessage.objects.using(using)
        # The messages that are stored, or not: only the commit failed.
        self._in_doubt = set()
        # {id: how often a message alone could not be stored}
        self._failures = {}

    def save(self):
        """Store what is unsaved. Raise django.db.Error if the database fails."""
        if not self.unsaved:
            return
        connections[self._using].ensure_connection()
        while self.unsaved:
            self._save_first(1 if self._failures else len(self.unsaved))
        self._failures.clear()

    def sure(self):
        """Return the unsaved messages of which no row can be in the database."""
        return [message for message in self.unsaved if message.pk not in self._in_doubt]

    def _save_first(self, count):
        messages = self.unsaved[:count]
        if self._may_insert(messages[0]):
            try:
                self._insert(messages)
            except Error as error:
                if not self._gives_up(messages[0], error):
                    raise
        del self.unsaved[: len(messages)]

    def _insert(self, messages):
        ids = [message.pk for message in messages]
        with transaction.atomic(using=self._using):
            self._rows.bulk_create(messages)
            # From here on, an error does not tell whether they are stored.
            self._in_doubt.update(ids)
        self._in_doubt.difference_update(ids)

    def _may_insert(self, message):
        """Return whether a message is not stored, and nobody can have sent it."""
        if message.pk not in self._in_doubt:
            return True
        if self._rows.filter(pk=message.pk).exists():
            self._in_doubt.discard(message.pk)
            return False
        self._in_doubt.discard(message.pk)
        if message.due_date > timezone.now():
            return True
        logger.error(
            "Dropped a delayed message for %s: it was due while the database was "
            "away, and may have been sent.",
            message.channel_name,
        )
        return False

    def _gives_up(self, message, error):
        """Count a failure; return whether the message is dropped for it."""
        failures = self._failures[message.pk] = self._failures.get(message.pk, 0) + 1
        connection = connections[self._using]
        connection.ensure_connection()
        if failures < MAX_SAVES or not connection.is_usable():
            return False
        logger.error(
            "Dropped a delayed message for %s, which the database refused %d times: "
            "%s",
            message.channel_name,
            failures,
            error,
        )
        return True
