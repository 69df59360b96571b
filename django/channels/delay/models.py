"""
The messages that wait, and how one process at most gets each of them.

In: messages to keep, from worker.py. Out: those that are due, claimed.
"""

import math
import secrets
import time
import uuid
from datetime import timedelta

from django.channels.delay import protocol
from django.channels.exceptions import ChannelFull
from django.channels.layers import DEFAULT_CHANNEL_LAYER, channel_layers
from django.db import connections, models, router, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

# Milliseconds until a message for a full channel is tried again.
REQUEUE_DELAY_MS = 1000


def new_id():
    """Return a UUID of version 7, which sorts by when it was made."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    high = milliseconds << 16 | 7 << 12 | fraction
    return uuid.UUID(int=high << 64 | 2 << 62 | secrets.randbits(62))


class DelayedMessageQuerySet(models.QuerySet):
    """Finds messages that are due, and claims them."""

    def is_due(self):
        """Return those whose time has come."""
        return self.filter(due_date__lte=timezone.now())

    def claim(self, limit):
        """
        Delete up to ``limit`` of these messages; return them, the oldest first.

        Whoever calls this at the same time gets others. Do so outside of
        transactions: a rollback would bring back what has been sent meanwhile.
        """
        using = self._db or router.db_for_write(self.model)
        features = connections[using].features
        rows = self.using(using).order_by("due_date", "id")
        if (
            features.has_select_for_update_skip_locked
            and features.supports_select_for_update_with_limit
        ):
            return rows._claim_unlocked(limit)
        return rows._claim_each(limit)

    def _claim_unlocked(self, limit):
        with transaction.atomic(using=self.db):
            rows = list(self.select_for_update(skip_locked=True)[:limit])
            self._all().filter(pk__in=[row.pk for row in rows]).delete()
        return rows

    def _claim_each(self, limit):
        rows = list(self[:limit])
        # It begins with a write, so that SQLite has nobody else write until its
        # end. Everybody goes in the same order, so that nobody waits in a circle.
        with transaction.atomic(using=self.db):
            return [row for row in rows if self._all().filter(pk=row.pk).delete()[0]]

    def _all(self):
        return self.model._default_manager.using(self.db)


class DelayedMessage(models.Model):
    """
    A message for a channel, and when it is due.

    ``content`` is the text of delay.protocol.encode(), ``layer`` the alias of
    the channel layer, ``tries`` how often the channel was full.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    layer = models.CharField(_("layer"), max_length=100, default=DEFAULT_CHANNEL_LAYER)
    due_date = models.DateTimeField(_("due date"), default=timezone.now)
    channel_name = models.CharField(_("channel name"), max_length=512)
    content = models.TextField(_("content"))
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)

    objects = DelayedMessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("delayed message")
        verbose_name_plural = _("delayed messages")
        indexes = [
            models.Index(fields=["layer", "due_date"], name="channels_delay_due")
        ]

    def __str__(self):
        return f"{self.channel_name} at {self.due_date}"

    @property
    def delay(self):
        """Milliseconds until the message is due, 0 if it is."""
        left = (self.due_date - timezone.now()) / timedelta(milliseconds=1)
        return max(0, math.ceil(left))

    @delay.setter
    def delay(self, milliseconds):
        self.due_date = timezone.now() + timedelta(milliseconds=milliseconds)

    def send(self, channel_layer=None, requeue_delay=REQUEUE_DELAY_MS):
        """
        Claim the message and send it; return whether it was sent.

        If the channel is full, it is kept and due again after ``requeue_delay``
        milliseconds. Nothing is sent if another process has claimed it. Raise
        ValueError for a content that is no text of delay.protocol.encode().
        """
        layer = channel_layer or channel_layers[self.layer]
        content = protocol.decode(self.content)
        if not self._state.adding and not self.delete()[0]:
            return False
        try:
            layer.send(self.channel_name, content)
        except ChannelFull:
            self.postpone(requeue_delay)
            self.save(force_insert=True)
            return False
        return True

    def postpone(self, milliseconds):
        """
        Make this claimed message one to store again, due after some time.

        Its id is a new one: a process that found the old one does not get it.
        """
        self.id = new_id()
        self.tries += 1
        self.delay = milliseconds
        self._state.adding = True

    def as_message(self):
        """Return the message that has rundelay keep this one."""
        return {
            "channel": self.channel_name,
            "delay": max(1, self.delay),
            "content": protocol.decode(self.content),
        }
