"""
The loop of rundelay: keep what comes, and send it when it is due.

In: messages on asgi.delay, from the layer. Out: their content, on their channel;
meanwhile keeper.py has put them into the database.

Any number of these loops may share a layer and a database. Each waits for the
next message that it knows to be due, its own and those that it found when it
last looked, and whoever claims a message sends it.
"""

import logging
import time
from contextlib import nullcontext
from datetime import timedelta

from django.channels.backoff import Backoff
from django.channels.delay import protocol
from django.channels.delay.keeper import Keeper
from django.channels.delay.models import REQUEUE_DELAY_MS, DelayedMessage
from django.channels.exceptions import ChannelFull
from django.channels.receiving import (
    FIRST_BACKOFF_SECONDS,
    LAST_BACKOFF_SECONDS,
    Receiver,
    stopping_on_signals,
)
from django.db import Error, connections, router
from django.db.models import Min
from django.utils import timezone

# Seconds between two looks for the messages of others, at the most.
LOOK_SECONDS = 1.0
# Messages that are received, or claimed and sent, at a time.
BATCH = 100
# How often a message is tried on a full channel, REQUEUE_DELAY_MS apart.
MAX_TRIES = 60
# Seconds to wait for others that have claimed what is due and not yet committed.
OTHERS_SECONDS = 0.05

logger = logging.getLogger("django.channels.delay")


class Worker:
    """
    Sends the delayed messages of one layer.

    ``channel_layer`` is a ChannelLayerWrapper. ``signal_handlers`` says whether
    SIGTERM and SIGINT end run() on the main thread, ``database_sleep_duration``
    how many seconds may pass between two looks at the table, and ``using`` the
    alias of its database, that of the routers by default.
    """

    def __init__(
        self,
        channel_layer,
        signal_handlers=True,
        database_sleep_duration=LOOK_SECONDS,
        using=None,
    ):
        self.channel_layer = channel_layer
        self.signal_handlers = signal_handlers
        self.database_sleep_duration = database_sleep_duration
        self.using = using or router.db_for_write(DelayedMessage)
        self._rows = DelayedMessage.objects.using(self.using).filter(
            layer=channel_layer.alias
        )
        self._receiver = Receiver(channel_layer, [protocol.DELAY_CHANNEL], BATCH)
        self._keeper = Keeper(self.using)
        self._backoff = Backoff(FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS)
        # When the next message is due, as far as is known.
        self._next_due = None
        # When to look at the table in any case, by time.monotonic().
        self._next_look = 0

    def stop(self):
        """Have run() return soon; signal handlers may call it."""
        self._receiver.stop()

    def run(self):
        """
        Keep and send messages until stop() is called.

        Faults of the layer and of the database are logged and tried again. What
        is due later stays in the database.
        """
        signals = stopping_on_signals(self.stop) if self.signal_handlers else None
        try:
            with signals or nullcontext():
                while not self._receiver.stopped:
                    self._turn()
        finally:
            self._end()

    def _turn(self):
        if not self._keeper.unsaved:
            pairs = self._receiver.receive(self._seconds_to_wait())
            if pairs is None:
                # What is due waits in the database until the layer is back.
                return
            self._keeper.unsaved = list(self._parse(pairs))
        try:
            self._work()
            self._backoff.reset()
        except Error as error:
            logger.error("The database of delayed messages fails: %s", error)
            connections[self.using].close()
            self._next_look = 0
            self._receiver.pause(self._backoff.next())

    def _work(self):
        self._save()
        now = timezone.now()
        due = self._next_due is not None and self._next_due <= now
        if due or time.monotonic() >= self._next_look:
            messages = self._rows.is_due().claim(BATCH)
            self._send(messages)
            self._look(now, more=len(messages) == BATCH)
            self._save()

    def _save(self):
        dates = [message.due_date for message in self._keeper.unsaved]
        self._keeper.save()
        if self._next_due is not None:
            dates.append(self._next_due)
        self._next_due = min(dates, default=None)

    def _look(self, now, more):
        """Find out when the next message is due, and when to look again."""
        found = self._rows.aggregate(due=Min("due_date"))["due"]
        if found is not None and found <= now and not more:
            # Somebody else is about to send it.
            found = now + timedelta(seconds=OTHERS_SECONDS)
        self._next_due = found
        self._next_look = time.monotonic() + self.database_sleep_duration

    def _seconds_to_wait(self):
        seconds = self._next_look - time.monotonic()
        if self._next_due is not None:
            left = self._next_due - timezone.now()
            seconds = min(seconds, left.total_seconds())
        return max(0, seconds)

    def _parse(self, pairs):
        """Yield the messages to keep; log what is none."""
        for _, message in pairs:
            try:
                channel, delay, content = protocol.parse(message)
            except ValueError as error:
                logger.error("Dropped a message on asgi.delay: %s.", error)
                continue
            yield DelayedMessage(
                layer=self.channel_layer.alias,
                channel_name=channel,
                delay=delay,
                content=protocol.encode(content),
            )

    def _send(self, messages):
        """Send claimed messages; keep those whose channel is full."""
        sent, pairs = [], []
        for message in messages:
            try:
                content = protocol.decode(message.content)
            except ValueError as error:
                self._log_drop(message, f"its content cannot be read: {error}")
                continue
            sent.append(message)
            pairs.append((message.channel_name, content))
        for message, error in zip(sent, self._send_pairs(pairs)):
            if isinstance(error, ChannelFull) and message.tries < MAX_TRIES:
                message.postpone(REQUEUE_DELAY_MS)
                self._keeper.unsaved.append(message)
            elif error is not None:
                self._log_drop(message, error)

    def _send_pairs(self, pairs):
        """Return None or the error of each pair."""
        if not pairs:
            return []
        try:
            return self.channel_layer.send_batch(pairs)
        except TypeError as error:
            # Nothing is sent: one row was changed by hand, maybe.
            if len(pairs) == 1:
                return [error]
            return [self._send_pairs([pair])[0] for pair in pairs]
        except Exception as error:
            # They may be on the layer. Sent again, they might come twice.
            return [error] * len(pairs)

    def _log_drop(self, message, error):
        logger.error(
            "Dropped a delayed message for %s: %s", message.channel_name, error
        )

    def _end(self):
        """Give back what is not in the database."""
        self._receiver.put_back(
            (protocol.DELAY_CHANNEL, message.as_message())
            for message in self._keeper.sure()
        )
        self._receiver.close()
