"""
What event loops have the courier's thread do: calls that they wait for, and errands.

In: courier.py, on a loop and in its thread. Out: the results, on the loop.
"""

import asyncio
import threading


class Call:
    """A function that a coroutine waits for."""

    def __init__(self, function, args, undo):
        self.loop = asyncio.get_running_loop()
        self.future = self.loop.create_future()
        self.function = function
        self.args = args
        self.undo = undo
        # Stands for it where it is not to be kept alive, with who waits for it.
        self.key = object()
        self.result = self.error = None
        # Taken by whichever of finish() and abandon() comes first.
        self._turn = threading.Lock()

    def run(self):
        """Call the function and keep what comes of it."""
        if self.undo is not None and self._turn.locked():
            # It was abandoned.
            return
        try:
            self.result = self.function(*self.args)
        except BaseException as error:
            self.error = error

    def finish(self):
        """Note that the result is there; return whether somebody waits for it."""
        return self._turn.acquire(blocking=False)

    def abandon(self):
        """Note that nobody waits any more; return whether the result was there."""
        return not self._turn.acquire(blocking=False)

    def can_be_undone(self):
        """Return whether there is something to give back."""
        return self.undo is not None and bool(self.result)

    def settle(self):
        """Hand over what came. Called on the loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Errand:
    """A function that nobody waits for."""

    def __init__(self, function, *args, undo=None):
        self.function = function
        self.undo = undo
        self.key = object()
        self._args = args

    def run(self):
        """Call it; it reports its failures itself."""
        self.function(*self._args)
