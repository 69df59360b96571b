"""
What writes the replies of a connection: its task, or whoever brings one.

In: replies, and a coroutine function that writes one. Out: calls of that, one after
the other; at once, where nothing else is to be written.
"""

import asyncio
import contextvars
from collections import deque

from django.channels.interface.eager import run_eagerly


class Writer:
    """Writes replies, always in the name of the task that runs it."""

    def __init__(self):
        self._write = None
        self._waiting = deque()
        self._task = None
        # What the task waits for while there is nothing to write.
        self._work = None
        # What is left of a reply that was begun, and the context of all of them.
        self._rest = None
        self._context = None

    def __len__(self):
        """How many replies wait."""
        return len(self._waiting)

    @property
    def is_running(self):
        """Was run() called?"""
        return self._task is not None

    @property
    def is_idle(self):
        """Does the task wait for something to write?"""
        return self._work is not None and not (self._work.done() or self._waiting)

    def add(self, reply):
        """Have a reply written in its turn."""
        self._waiting.append(reply)
        self.wake()

    def clear(self):
        """Drop all that waits."""
        self._waiting.clear()

    def wake(self):
        """Have the task look what there is to do."""
        if self._work is not None and not self._work.done():
            self._work.set_result(None)

    def cancel(self):
        """Cancel the task, and what it writes."""
        self._task.cancel()

    def write_now(self, reply):
        """Write a reply, as far as that is possible without waiting."""
        self._rest = run_eagerly(self._write(reply), self._task, self._context)
        if self._rest is not None:
            self.wake()

    async def run(self, write, goes_on):
        """
        Have ``write(reply)`` write as long as ``goes_on()`` is true.

        That is asked again after each reply, and after wake(). Raise what writing
        raises.
        """
        self._write, self._task = write, asyncio.current_task()
        self._context = contextvars.copy_context()
        try:
            while True:
                if self._rest is not None:
                    rest, self._rest = self._rest, None
                    await rest
                elif not goes_on():
                    return
                elif self._waiting:
                    self.write_now(self._waiting.popleft())
                else:
                    await self._wait_for_work()
        finally:
            # It has what has this writer.
            self._write = None

    async def _wait_for_work(self):
        self._work = asyncio.get_running_loop().create_future()
        try:
            await self._work
        except asyncio.CancelledError as error:
            if self._rest is None:
                raise
            # It came for the reply that was begun meanwhile.
            self._rest.cancel(error)
