"""
Coroutines that are run at once, in the name of a task that waits for work.

In: what a connection is to send, as it comes. Out: the server's send(), called
without waking the connection's own task, which for a thousand connections costs more
than what they send. What has to wait is brought to its end by that task.

To the coroutine it is one task all the time, in one context: so whatever goes by
asyncio.current_task(), like a timeout, or by context variables, works as in the task.
"""

import asyncio
from asyncio.tasks import _enter_task, _leave_task


def run_eagerly(coroutine, task, context):
    """
    Run a coroutine until it is done or has to wait.

    ``task`` is a task of the running loop, one that waits or the one that calls;
    ``context`` is a contextvars.Context. Return None if it is done; otherwise, also if
    it has raised an exception, what ``task`` is to await, after cancel() if ``task``
    was cancelled meanwhile.
    """
    loop, current = asyncio.get_running_loop(), asyncio.current_task()
    if current is not None:
        _leave_task(loop, current)
    _enter_task(loop, task)
    try:
        return Rest(coroutine, context, context.run(coroutine.send, None))
    except StopIteration:
        return None
    except BaseException as error:
        return Failure(error)
    finally:
        _leave_task(loop, task)
        if current is not None:
            _enter_task(loop, current)


class Rest:
    """What is left of a coroutine; it waits for ``future``."""

    def __init__(self, coroutine, context, future):
        self._coroutine = coroutine
        self._context = context
        self._future = future
        self._cancelled = None

    def cancel(self, error):
        """Cancel what it waits for, as a task does, or raise the CancelledError."""
        if self._future is None or not self._future.cancel(*error.args):
            self._cancelled = error

    def __await__(self):
        step = self._context.run
        future = self._future
        while True:
            try:
                if self._cancelled is not None:
                    raise self._take_cancelled()
                result = yield future
            except BaseException as error:
                call, argument = self._coroutine.throw, error
            else:
                call, argument = self._coroutine.send, result
            try:
                future = step(call, argument)
            except StopIteration as stop:
                return stop.value

    def _take_cancelled(self):
        error, self._cancelled = self._cancelled, None
        return error


class Failure:
    """The exception that a coroutine has raised."""

    def __init__(self, error):
        self._error = error

    def cancel(self, error):
        """Raise the CancelledError instead."""
        self._error = error

    def __await__(self):
        error, self._error = self._error, None
        try:
            raise error
            yield
        finally:
            # Not to be kept by its own traceback.
            del error
