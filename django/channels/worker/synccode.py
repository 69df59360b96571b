"""
In which thread the synchronous code of a coroutine runs.

In: calls of sync_to_async() within a consumer, by Django's database layer mostly.
Out: calls in one thread, which has its connections cleaned before and after.
"""

from concurrent.futures import Future

from asgiref.sync import SyncToAsync, ThreadSensitiveContext

from django.db import close_old_connections


class SyncCode:
    """
    Has all synchronous code of the block run in one thread.

    ``choose()`` chooses it when there is some: it returns a function like
    Executor.submit(). Tasks that outlive the block use the same thread. An
    asynchronous context manager.
    """

    def __init__(self, choose):
        self._context = ThreadSensitiveContext()
        self._executor = _Executor(choose)

    async def __aenter__(self):
        await self._context.__aenter__()
        SyncToAsync.context_to_thread_executor[self._context] = self._executor
        return self

    async def __aexit__(self, *exc_info):
        self._executor.end()
        # asgiref would start a thread to shut it down.
        executors = SyncToAsync.context_to_thread_executor
        executors.pop(self._context, None)
        await self._context.__aexit__(*exc_info)
        # For as long as a task has the context.
        executors[self._context] = self._executor


class _Executor:
    """What asgiref and asyncio take for an executor: one thread, chosen late."""

    def __init__(self, choose):
        self._choose = choose
        self._submit = None
        self._has_ended = False

    def submit(self, function, *args):
        """Have a function called in the thread; return a Future of its result."""
        if self._submit is None:
            self._submit = self._choose()
            self._submit(close_old_connections)
        future = self._submit(function, *args)
        if self._has_ended:
            self._submit(close_old_connections)
        return future

    def end(self):
        """Have connections cleaned after what was submitted, and what still is."""
        self._has_ended = True
        if self._submit is not None:
            # Nobody waits for it; the thread does it before anything else of ours.
            self._submit(close_old_connections)

    def shutdown(self, wait=True):
        """Do nothing: the thread is not this block's."""


class Job:
    """A call for a thread, and the Future of its result."""

    def __init__(self, function, args):
        self._function = function
        self._args = args
        self.future = Future()

    def run(self):
        """Call the function."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._function(*self._args)
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)
