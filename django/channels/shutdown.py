"""
How the processes of runserver end: in order, soon, and without tracebacks.

In: signals, and the end of the autoreloader. Out: shut_down() of the server.

With the autoreloader there are two processes: one waits for the other, which
serves in a thread beside the main one. A terminal sends Ctrl-C to both.
"""

import contextlib
import os
import signal
import sys
import threading

# Seconds that the waiting process, told to end by Ctrl-C, gives the serving one
# to end by itself. Without this, subprocess kills it after a quarter of one.
CHILD_SECONDS = 1.3

# Seconds for which threads that still work may hold up the end of a process.
LINGER_SECONDS = 0.2

# The servers of this process that have not stopped: one at most.
_servers = []


def register(server):
    """Have orderly() call the shut_down() of a server, once."""
    _servers.append(server)


@contextlib.contextmanager
def orderly():
    """
    Close what is open when the block ends, however it does, within a bound.

    If the process ends then, threads that still work do not hold it up.
    """
    code = 1
    try:
        yield
        code = 0
    except KeyboardInterrupt:
        code = 0
        raise
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    finally:
        with _ctrl_c_ignored():
            if _stop_servers() and _on_main_thread():
                _limit_exit(code)


def exit_on_sigterm():
    """Let SIGTERM end the process in order, as the autoreloader does."""
    if _on_main_thread():
        signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(0))


@contextlib.contextmanager
def child_has_time():
    """Have the first Ctrl-C of the block wait for the serving process."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.signal(signal.SIGINT, _give_time)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _give_time(signum, frame):
    # From now on either signal raises KeyboardInterrupt: a second Ctrl-C, or
    # the alarm when the serving process has not ended in time.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, CHILD_SECONDS)


@contextlib.contextmanager
def _ctrl_c_ignored():
    """Keep an impatient second Ctrl-C from interrupting an end that is bounded."""
    if not _on_main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _stop_servers():
    """Shut down every server; return whether there was one."""
    found = False
    while _servers:
        # Another thread may be as fast.
        with contextlib.suppress(IndexError):
            _servers.pop().shut_down()
            found = True
    return found


def _limit_exit(code):
    """
    Have the interpreter's end take LINGER_SECONDS at the most.

    It joins the threads of executors, in which asynchronous views run, and a
    view that streams events runs for as long as its client listens.
    """
    ending = threading.Event()

    def interpreter_ends():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ending.set()

    # Not atexit: its functions are called after the threads are joined.
    threading._register_atexit(interpreter_ends)
    arguments = (ending, code)
    threading.Thread(target=_exit_after, args=arguments, daemon=True).start()


def _exit_after(ending, code):
    ending.wait()
    threading.Event().wait(LINGER_SECONDS)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _on_main_thread():
    return threading.current_thread() is threading.main_thread()
