"""
The blocked receives of the memory layer, in threads and on event loops.

A waiter is woken, it is never handed a message: it takes one itself, under the
layer's lock, as soon as it runs. So whatever ends a wait (a timeout, a
cancellation, an interrupt), no message is in its hands.
"""

import asyncio
import threading


class ThreadWaiter:
    """A thread in receive()."""

    def __init__(self, closings):
        # What the layer counted before the wait; another count ends it.
        self.closings = closings
        # The queues in whose line it stands, or stood until it was woken.
        self.queues = ()
        # Does each of these queues count on it?
        self.counted = False
        self._asleep = threading.Lock()

    def reset(self):
        """Get ready to be woken once more."""
        self._asleep.acquire(blocking=False)

    def wake(self):
        """End the wait; return True, as a thread comes for certain."""
        if self._asleep.locked():
            self._asleep.release()
        return True

    def wait(self, seconds):
        """Wait to be woken, at most for ``seconds`` if that is not None."""
        self._asleep.acquire(timeout=-1 if seconds is None else seconds)


class LoopWaiter:
    """A task in areceive()."""

    def __init__(self, closings):
        self.closings = closings
        self.queues = ()
        self.counted = False
        self.loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._future = None

    def reset(self):
        """Get ready to be woken once more."""
        self._future = self.loop.create_future()

    def wake(self):
        """
        End the wait; return whether the task is sure to come.

        A closed loop never runs it, and one that stands still maybe never.
        """
        if self.loop.is_closed():
            return False
        if threading.get_ident() == self._thread:
            _settle(self._future)
        else:
            try:
                self.loop.call_soon_threadsafe(_settle, self._future)
            except RuntimeError:
                # Closed by its thread just now.
                return False
        return self.loop.is_running()

    async def wait(self, seconds):
        """Wait to be woken, at most for ``seconds`` if that is not None."""
        future = self._future
        if seconds is None:
            return await future
        timer = self.loop.call_later(seconds, _settle, future)
        try:
            await future
        finally:
            timer.cancel()


def _settle(future):
    if not future.done():
        future.set_result(None)
