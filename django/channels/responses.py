"""
The way of a response from a view to its client, no faster than the client reads.

In: the messages of handler.py; credit, from the interface. Out: http.response
messages on the reply channel. See specs/protocols/http.rst.
"""

import asyncio
import contextlib
import time

from django.channels.backoff import FIRST_RETRY_SECONDS, Backoff
from django.channels.exceptions import ChannelFull, LayerUnavailable, RequestAborted
from django.channels.outbox import current_outbox
from django.channels.worker.reports import following

# Messages of a response that may be on their way before the client has read some.
RESPONSE_WINDOW = 64
# Messages, and seconds, after which a sender looks whether its client is there.
LOOK_MESSAGES = 16
LOOK_SECONDS = 0.05
# Seconds that a response waits for its client to read some of it.
CREDIT_SECONDS = 60
# Seconds between two tries to send to a reply channel that is full, at the most.
LAST_RETRY_SECONDS = 0.02


# What comes behind the last part.
_END = object()


class ResponseFlow:
    """Sends the messages of the response to one request."""

    def __init__(self, message):
        self._layer = message.channel_layer
        self._reply_channel = message.reply_channel
        self._credit_channel = None
        self._credit = RESPONSE_WINDOW
        # What says that its end is awaited.
        self._slot = None
        self._looked = 0
        self._sent = 0

    @property
    def can_end(self):
        """Does the other side know whom to tell that the client is gone?"""
        return self._credit_channel is not None

    def send(self, reply):
        """
        Send a message, when the client has read enough of those before.

        A response of one message leaves with what else its consumer sends.
        Raise RequestAborted if the client went away.
        """
        reply = {"type": "http.response", **reply}
        if self._credit_channel is None:
            if not reply["more_content"]:
                return self._send_only(reply)
            self._credit_channel = self._layer.new_channel("http.response.credit?")
            reply["credit_channel"] = self._credit_channel
            self._slot = following.begin_response(self._reply_channel.name)
        self._await_credit()
        self._credit -= 1
        self._sent += 1
        self._send_patiently(reply)

    def close(self):
        """Drop the credit that nobody needs any more."""
        following.end_response(self._slot)
        if self._credit_channel is not None:
            with contextlib.suppress(LayerUnavailable):
                self._layer.close_channel(self._credit_channel)

    async def wait_for_end(self):
        """Wait until the client is gone, and raise RequestAborted then."""
        while True:
            channel, message = await self._layer.areceive(
                [self._credit_channel], block=True, timeout=CREDIT_SECONDS
            )
            if channel is not None:
                self._take(message)

    def _send_only(self, reply):
        if current_outbox() is not None:
            self._reply_channel.send(reply)
        else:
            self._send_patiently(reply)

    def _await_credit(self):
        """Take what credit there is, and wait for some when there is none."""
        now = time.monotonic()
        is_due = self._sent >= LOOK_MESSAGES or now - self._looked >= LOOK_SECONDS
        if self._credit > 0 and not is_due:
            return
        self._looked, self._sent = now, 0
        wait = {"block": True, "timeout": CREDIT_SECONDS} if self._credit <= 0 else {}
        for _, message in self._layer.receive_batch(
            [self._credit_channel], RESPONSE_WINDOW, **wait
        ):
            self._take(message)
        if self._credit <= 0:
            raise RequestAborted(f"The client read nothing for {CREDIT_SECONDS} s.")

    def _take(self, message):
        if message.get("closed"):
            raise RequestAborted("The client went away within the response.")
        self._credit += message["chunks"]

    def _send_patiently(self, reply):
        deadline = time.monotonic() + CREDIT_SECONDS
        pauses = Backoff(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS)
        while True:
            try:
                return self._reply_channel.send(reply, immediately=True)
            except ChannelFull:
                if time.monotonic() >= deadline:
                    raise RequestAborted(
                        f"The reply channel stayed full for {CREDIT_SECONDS} s."
                    )
            time.sleep(pauses.next())


def iterate(response, flow=None):
    """
    Yield the parts of an asynchronous response from synchronous code.

    With a ``flow``, RequestAborted is raised in the middle of waiting for a part
    when the client goes away.
    """
    loop = asyncio.new_event_loop()
    parts = aiter(response)
    try:
        while True:
            part = loop.run_until_complete(_next(parts, flow))
            if part is _END:
                return
            yield part
    finally:
        if hasattr(parts, "aclose"):
            loop.run_until_complete(parts.aclose())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _next(parts, flow):
    """Return the next part or _END; stop waiting when the client goes away."""
    part = asyncio.ensure_future(_part_or_end(parts))
    tasks = [part]
    try:
        if flow is not None and flow.can_end:
            await asyncio.wait(tasks, timeout=LOOK_SECONDS)
        if flow is not None and flow.can_end and not part.done():
            tasks.append(asyncio.ensure_future(flow.wait_for_end()))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not part.done():
                # Raises why nobody wants the part any more.
                tasks[1].result()
        return await part
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Else what one raised would keep it, and with it all that led here.
        del part, tasks[:]


async def _part_or_end(parts):
    # An exception would keep itself by way of the event loop that raised it.
    return await anext(parts, _END)
