"""
What is left of a request that ended before its consumer answered.

In: the reply channel, from http.py, and what still comes on it. Out: the news,
for whoever begins a response of many messages, that nobody reads it.
"""

import asyncio
import logging

from django.channels.interface.dispatch import begin

logger = logging.getLogger("django.channels.interface")


class Leftover:
    """
    The reply channel of a request that nobody waits for any more.

    It stays open for ``seconds``, or until the answer has come. Made on an event
    loop.
    """

    def __init__(self, replies, channel_layer, name, seconds):
        self._replies = replies
        self._layer = channel_layer
        self._name = name
        self._task = None
        self._timer = asyncio.get_running_loop().call_later(seconds, self._end)
        replies.redirect(name, self._take)

    def _take(self, reply):
        if reply.get("type") == "http.request.credit":
            return
        if isinstance(reply.get("credit_channel"), str):
            self._end(reply["credit_channel"])
        elif not reply.get("more_content"):
            self._end()

    def _end(self, credit_channel=None):
        if self._task is None:
            self._timer.cancel()
            self._task = begin(self._finish(credit_channel))

    async def _finish(self, credit_channel):
        try:
            if credit_channel is not None:
                closed = {"type": "http.response.credit", "closed": True}
                await self._layer.asend(credit_channel, closed)
        except Exception as error:
            logger.error("Cannot stop a response on %s: %s", credit_channel, error)
        finally:
            await self._replies.close(self._name)
