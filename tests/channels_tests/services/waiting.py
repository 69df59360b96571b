"""Wait for what a server can only be asked about."""

import threading
import time

from ..processes import PATIENCE_SECONDS

ASK_SECONDS = 0.02


class NotInTime(AssertionError):
    """Raised when what a test waits for has not happened in time."""


def wait_for(condition, what, seconds=PATIENCE_SECONDS):
    """
    Wait until ``condition()`` is true; an exception means that it is not yet.

    Raise NotInTime, which says ``what`` did not become true, after a time; an
    AssertionError that ``condition()`` raises ends the wait.
    """
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    reason = None
    while True:
        try:
            if condition():
                return
        except AssertionError:
            raise
        except Exception as error:
            reason = error
        if time.monotonic() > deadline:
            raise NotInTime(f"Not within {seconds} s: {what}.") from reason
        pause.wait(ASK_SECONDS)
