"""
A limit for the time that a test may take, so that one that hangs has a name.

In: startTest() of the results here. Out: the stacks of all threads on the error
output, then an exception in the main thread, which fails the test. A signal does
it, so there is no limit where there is no SIGALRM, as on Windows.

What hangs in another thread, as the event loop of an asynchronous test, still does
then. A process that waits for that at its end is ended.
"""

import asyncio
import contextlib
import faulthandler
import gc
import multiprocessing.util
import signal
import sys

# For one test, for what comes before and after it, and for the end of the process.
# None takes a quarter of it.
SECONDS = 300

_HAS_ALARM = hasattr(signal, "SIGALRM")
_is_limited = False
_is_end_limited = False


class TookTooLong(Exception):
    """Raised in the middle of a test that takes longer than it may."""


@contextlib.contextmanager
def limited():
    """Limit each test that this process runs within."""
    global _is_limited
    if not _HAS_ALARM:
        yield
        return
    before = signal.signal(signal.SIGALRM, _give_up)
    # It works as well while the main thread is stuck in what is not Python.
    faulthandler.register(signal.SIGALRM, chain=True)
    _is_limited = True
    renew()
    try:
        yield
    finally:
        _is_limited = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.unregister(signal.SIGALRM)
        signal.signal(signal.SIGALRM, before)
        _limit_end()


def renew():
    """Begin to count anew, if this process runs tests within limited()."""
    if _is_limited:
        # Again and again: what is cleaned up may hang as well.
        signal.setitimer(signal.ITIMER_REAL, SECONDS, SECONDS)


def _give_up(number, frame):
    for task in _pending_tasks():
        _show(task)
    raise TookTooLong(f"The test took more than {SECONDS} s.")


def _pending_tasks():
    """Return the tasks of all event loops, in whichever threads they run."""
    return [
        each
        for each in gc.get_objects()
        # Not isinstance(), which asks lazy objects what they are.
        if issubclass(type(each), asyncio.Task) and not each.done()
    ]


def _show(task):
    """Write where each coroutine of a task waits; print_stack() has the first only."""
    print(f"{task!r} (what it waits for last):", file=sys.stderr)
    coroutine = task.get_coro()
    while frame := getattr(coroutine, "cr_frame", None):
        code = frame.f_code
        place = f'File "{code.co_filename}", line {frame.f_lineno}'
        print(f"  {place} in {code.co_name}", file=sys.stderr)
        coroutine = coroutine.cr_await


def _limit_end():
    """Have this process not wait for ever for threads that tests have left."""
    global _is_end_limited
    if _is_end_limited:
        return
    _is_end_limited = True
    if multiprocessing.parent_process() is None:
        _end_in_time()
    else:
        # Until its end, it waits for tests to run.
        multiprocessing.util.Finalize(None, _end_in_time, exitpriority=-1)


def _end_in_time():
    """Show the stacks of all threads, and end, if it takes too long from now on."""
    faulthandler.dump_traceback_later(SECONDS, exit=True, file=sys.__stderr__)
