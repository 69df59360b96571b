"""
A limit for the time that a test may take, so that one that hangs has a name.

In: startTest() of the results here. Out: the stacks of all threads on the error
output, then an exception in the main thread, which fails the test. A signal does
it, so there is no limit where there is no SIGALRM, as on Windows.
"""

import asyncio
import contextlib
import faulthandler
import signal
import sys

# For one test, or for what comes before and after it. None takes a quarter of it.
SECONDS = 300

_HAS_ALARM = hasattr(signal, "SIGALRM")
_is_limited = False


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


def renew():
    """Begin to count anew, if this process runs tests within limited()."""
    if _is_limited:
        # Again and again: what is cleaned up may hang as well.
        signal.setitimer(signal.ITIMER_REAL, SECONDS, SECONDS)


def _give_up(number, frame):
    # RuntimeError: no loop runs in this thread.
    with contextlib.suppress(RuntimeError):
        for task in asyncio.all_tasks(asyncio.get_running_loop()):
            task.print_stack(file=sys.stderr)
    raise TookTooLong(f"The test took more than {SECONDS} s.")
