"""
How consumers run for the lanes of connections in the server's own process.

In: messages of interface/lanes.py, those of a lane one after the other. Out:
runs of their consumers.
"""

import asyncio
import time
from functools import partial

from django.channels.worker import Worker, runs


class LaneWorker(Worker):
    """
    Runs the consumers of lanes.

    A message whose consumer raises ConsumeLater comes again here, before what
    follows in its lane: on the layer, it would lose its turn, and might find
    nobody who reads.
    """

    signal_sender = Worker

    def put_again(self, outbox, channel, content):
        """Do nothing: begin() tries again by itself."""

    def begin(self, channel, content):
        """See Consuming.begin()."""
        try:
            run = self._find(channel, content)
            if run is not None and run.is_async:
                return self.coroutines.run(partial(self._acall, run), run)
            while run is not None:
                run.call()
                run = self._find_again(run)
                if run is not None:
                    time.sleep(runs.RETRY_DELAY_SECONDS)
        except BaseException as error:
            self._report(error, channel, content)
        return None

    async def _acall(self, run):
        while run is not None:
            await run.acall()
            run = self._find_again(run)
            if run is not None:
                await asyncio.sleep(runs.RETRY_DELAY_SECONDS)

    def _find_again(self, run):
        """Return the next run for the same message, None if it was the last."""
        if not run.comes_again:
            return None
        retries = run.retries + 1
        content = {**run.message.content, runs.RETRIES_KEY: retries}
        return self._find(run.message.channel.name, content)
