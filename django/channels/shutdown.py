"""
How the processes of runserver end: in order, soon, and without tracebacks.

In: signals, and the end of the autoreloader. Out: shut_down() of the server.

With the autoreloader there are two processes: one waits for the other, which
serves in a thread beside the main one. A terminal sends Ctrl-C to both.
"""

import contextlib
import signal
import sys
import threading

# Seconds that the waiting process, told to end by Ctrl-C, gives the serving one
# to end by itself. Without this, subprocess kills it after a quarter of one.
CHILD_SECONDS = 1.4

# The servers of this process that have not stopped: one at most.
_servers = []


def register(server):
    """Have stop_servers() call the shut_down() of a server, once."""
    _servers.append(server)


def stop_servers():
    """Close what is open, within a bound; do nothing if nothing serves."""
    with _ctrl_c_ignored():
        while _servers:
            # Another thread may be as fast.
            with contextlib.suppress(IndexError):
                _servers.pop().shut_down()


def exit_on_sigterm():
    """Let SIGTERM end the process in order, as the autoreloader does."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(0))


def wait_for_child():
    """Have the first Ctrl-C wait for the serving process."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGINT, _wait_for_child)


def _wait_for_child(signum, frame):
    # From now on either signal raises KeyboardInterrupt: a second Ctrl-C, or
    # the alarm when the serving process has not ended in time.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, CHILD_SECONDS)


@contextlib.contextmanager
def _ctrl_c_ignored():
    """Keep an impatient second Ctrl-C from interrupting an end that is bounded."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
