"""
One run of a consumer, and what becomes of it.

In: a message and its consumer, from consuming.py. Out: a call of the consumer, in
this thread or on an event loop; then what it sent, to a sender.
"""

import asyncio
import inspect
import logging
import threading

from asgiref.sync import iscoroutinefunction, sync_to_async

from django.channels.exceptions import ChannelSocketException, ConsumeLater
from django.channels.outbox import Outbox
from django.channels.signals import consumer_finished, consumer_started
from django.channels.worker import reports
from django.db import close_old_connections

# Seconds before a message whose consumer raised ConsumeLater is sent again.
RETRY_DELAY_SECONDS = 0.05
# The key that counts those tries in a message's content.
RETRIES_KEY = "__retries__"

logger = logging.getLogger("django.channels.worker")


class Run:
    """
    The run of a consumer for one message.

    ``worker`` says what to send with, and how often ConsumeLater is obeyed.
    """

    __slots__ = (
        "worker",
        "message",
        "consumer",
        "kwargs",
        "retries",
        "comes_again",
        "result",
        "_slot",
    )

    def __init__(self, worker, message, consumer, kwargs, retries):
        self.worker = worker
        self.message = message
        self.consumer = consumer
        self.kwargs = kwargs
        self.retries = retries
        # Whether the message is consumed again, later.
        self.comes_again = False
        # What the consumer returned: tests want to know.
        self.result = None
        # What says that its response is awaited.
        self._slot = None

    @property
    def is_async(self):
        """Whether calling the consumer gives a coroutine to run."""
        call = getattr(self.consumer, "__call__", None)
        return iscoroutinefunction(self.consumer) or (
            not inspect.isclass(self.consumer) and iscoroutinefunction(call)
        )

    @property
    def content(self):
        """What was received, with what counts the tries."""
        if not self.retries:
            return self.message.content
        return {**self.message.content, RETRIES_KEY: self.retries}

    def __str__(self):
        name = _dotted_name(self.consumer)
        return f"consumer {name} for a message on {self.message.channel}"

    def call(self):
        """Run the consumer in this thread, and send what it sent."""
        sender = self.worker.signal_sender
        # Connections that broke meanwhile, or that CONN_MAX_AGE ends.
        close_old_connections()
        self._begin()
        try:
            consumer_started.send(sender=sender, environ={})
            outbox, delay = self._call(), 0
        except BaseException as error:
            outbox, delay = self._settle(error)
        try:
            self._add_end(outbox)
            if outbox:
                self.worker.sender.send(outbox, delay)
        finally:
            self._end_response()
            try:
                # Robust: the client has its answer, whatever others make of it.
                consumer_finished.send_robust(sender=sender, **self._end)
            finally:
                close_old_connections()

    def _call(self):
        outbox = Outbox()
        with outbox.collecting():
            self.result = self.consumer(self.message, **self.kwargs)
        if self.result is not None:
            _check_ran(self.consumer, self.result)
        return outbox

    async def acall_alone(self):
        """See acall(). The database is used where asgiref has it used."""
        await sync_to_async(close_old_connections)()
        try:
            await self.acall()
        finally:
            await sync_to_async(close_old_connections)()

    async def acall(self):
        """
        See call(). The consumer is a coroutine function.

        The caller looks after connections to databases.
        """
        sender = self.worker.signal_sender
        self._begin()
        try:
            await consumer_started.asend(sender=sender, environ={})
            outbox, delay = Outbox(), 0
            with outbox.collecting():
                self.result = await self.consumer(self.message, **self.kwargs)
        except BaseException as error:
            outbox, delay = self._settle(error)
            cancelled = isinstance(error, asyncio.CancelledError)
        else:
            cancelled = False
        try:
            self._add_end(outbox)
            if outbox:
                await self.worker.sender.asend(outbox, delay)
        finally:
            self._end_response()
            await consumer_finished.asend_robust(sender=sender, **self._end)
        if cancelled:
            raise asyncio.CancelledError

    @property
    def _end(self):
        return {"message": self.message, "comes_again": self.comes_again}

    def _begin(self):
        """Have the server of the message hear if this process dies."""
        reports.following.begin(self.message)
        name = self.message.content.get("reply_channel")
        if name and self.message.channel.name == "http.request":
            self._slot = reports.following.begin_response(name)

    def _end_response(self):
        if self._slot is not None:
            reports.following.end_response(self._slot)

    def _add_end(self, outbox):
        message = self.message
        # The consumer of a connect may have asked for it.
        if reports.is_awaited(message.content):
            again = self.comes_again
            reports.following.end(message, again)
            reports.add_end(outbox, message.channel_layer, message.content, again)

    # What becomes of a consumer that raised.

    def _settle(self, error):
        """Return (the outbox to send instead, seconds before)."""
        if is_users_interrupt(error):
            raise error
        if isinstance(error, ChannelSocketException):
            return self._act(error), 0
        if isinstance(error, ConsumeLater):
            try:
                return self._retry()
            except Exception as refusal:
                # What the consumer made of its message cannot be sent.
                return self._fail(refusal), 0
        return self._fail(error), 0

    def _act(self, action):
        """Do to the connection what its consumer asked for, where that is legal."""
        outbox = Outbox()
        try:
            with outbox.collecting():
                action.run(self.message)
        except Exception as error:
            return self._fail(error)
        return outbox

    def _retry(self):
        channel, outbox = self.message.channel.name, Outbox()
        if self.retries >= self.worker.message_retries:
            logger.warning(
                "Exceeded number of retries for message on channel %s with consumer "
                "%s: dropped after %d.",
                channel,
                _dotted_name(self.consumer),
                self.retries,
            )
        else:
            again = {**self.message.content, RETRIES_KEY: self.retries + 1}
            self.worker.put_again(outbox, channel, again)
            self.comes_again = True
        return outbox, RETRY_DELAY_SECONDS

    def _fail(self, error):
        self.worker.note_failure(error)
        logger.error(
            "Error processing message on %s with consumer %s:",
            self.message.channel,
            _dotted_name(self.consumer),
            exc_info=error,
        )
        return get_failure_answer(
            self.message.channel_layer, self.message.channel.name, self.message.content
        )


def get_failure_answer(channel_layer, channel, content):
    """
    Return an outbox with the answer to a message that nobody could process.

    It is empty where no client waits for one.
    """
    if channel == "websocket.connect":
        reply = {"accept": False}
    elif channel == "http.request":
        headers = [[b"Content-Type", b"text/plain; charset=utf-8"]]
        body = b"Internal Server Error\n"
        reply = {"status": 500, "headers": headers, "content": body}
    else:
        return Outbox()
    outbox = Outbox()
    if reply_channel := content.get("reply_channel"):
        outbox.add(channel_layer, reply_channel, reply)
    else:
        logger.error("Cannot reply to %s.", content.get("path"))
    return outbox


def is_users_interrupt(error):
    """
    Return whether it is Ctrl-C.

    Whatever else a consumer raises, SystemExit included, must not end the thread
    that the next consumers need.
    """
    on_main_thread = threading.current_thread() is threading.main_thread()
    return isinstance(error, KeyboardInterrupt) and on_main_thread


def _check_ran(consumer, result):
    """Raise TypeError if what a consumer returned is yet to run."""
    name = _dotted_name(consumer)
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError(
            f"{name} returned something to await and is no coroutine function: mark "
            f"it with asgiref.sync.markcoroutinefunction()."
        )
    if inspect.isgenerator(result) or inspect.isasyncgen(result):
        raise TypeError(
            f"{name} returned a generator, which nobody iterates over: a consumer "
            f"cannot yield."
        )


def _dotted_name(consumer):
    """Return where a consumer is defined: a function, a class or an instance."""
    named = consumer if hasattr(consumer, "__qualname__") else type(consumer)
    return f"{named.__module__}.{named.__qualname__}"
