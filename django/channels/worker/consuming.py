"""
How a message comes to its consumer.

In: messages, from worker.py and lanes.py. Out: runs of consumers, see runs.py, in
this thread or on an event loop.
"""

import asyncio
import logging

from asgiref.sync import async_to_sync, sync_to_async

from django.channels.message import Message
from django.channels.worker import reports
from django.channels.worker.runs import (
    RETRIES_KEY,
    Run,
    get_failure_answer,
    is_users_interrupt,
)

logger = logging.getLogger("django.channels.worker")


class Consuming:
    """
    Has consumers of a layer run, for one message after the other.

    See Worker for the attributes that a subclass sets.
    """

    @property
    def signal_sender(self):
        """The sender of the signals around a consumer."""
        return type(self)

    def consume(self, channel, content):
        """
        Route one message, run its consumer and send what it sent.

        Whatever goes wrong is logged; a client that waits for an answer to
        websocket.connect or http.request gets one. A consumer that is a coroutine
        function runs to its end, on a loop of asgiref's.
        """
        try:
            if (run := self._find(channel, content)) is not None:
                call = async_to_sync(run.acall_alone) if run.is_async else run.call
                call()
        except BaseException as error:
            self._report(error, channel, content)

    async def aconsume(self, channel, content):
        """See consume(). Other consumers run in a thread of asgiref's."""
        try:
            if (run := self._find(channel, content)) is not None:
                call = run.acall_alone if run.is_async else sync_to_async(run.call)
                await call()
        except BaseException as error:
            self._report(error, channel, content)

    def begin(self, channel, content):
        """
        Consume a message as consume() does; return None when that is done.

        The run of a coroutine function goes on, on the loop of ``coroutines``:
        return the concurrent.futures.Future of its end.
        """
        try:
            if (run := self._find(channel, content)) is not None:
                if run.is_async:
                    return self._begin_coroutine(run)
                run.call()
        except BaseException as error:
            self._report(error, channel, content)
        return None

    def put_again(self, outbox, channel, content):
        """Have a message come to a channel again, with what ``outbox`` sends."""
        outbox.add(self.channel_layer, channel, content)

    def note_failure(self, error):
        """Do nothing about what a consumer raised: it is logged."""

    def _begin_coroutine(self, run):
        if self.prefetch is not None:
            channel = run.message.channel.name
            self.prefetch.async_channels.add(channel)
            if not self.coroutines.room:
                # Another process may have room.
                self.prefetch.give_back([(channel, run.content)])
                return None
        return self.coroutines.run(run.acall, run)

    def _find(self, channel, content):
        """Return the Run for a message, None if no route takes it."""
        retries = content.pop(RETRIES_KEY, 0)
        message = Message(content, channel, self.channel_layer)
        found = self.channel_layer.router.match(message)
        if found is None:
            logger.error(
                "Could not find match for message on %s! Check your routing.", channel
            )
            reports.tell_dropped(self.channel_layer, content)
            return None
        if self.callback:
            self.callback(channel, message)
        return Run(self, message, *found, retries)

    def _report(self, error, channel, content):
        """Log what was raised around a consumer, and answer a client that waits."""
        if is_users_interrupt(error) or isinstance(error, asyncio.CancelledError):
            raise error
        logger.error("Cannot process a message on %s.", channel, exc_info=error)
        outbox = get_failure_answer(self.channel_layer, channel, content)
        reports.add_end(outbox, self.channel_layer, content)
        outbox.flush()
