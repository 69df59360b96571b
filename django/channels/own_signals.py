"""
Handlers of signals that are this process's own, and not those of its children.

In: handlers of receiving.py and of workers. Out: signals, which do in forked
children what they do by default: whoever ends a child, as a pool of processes
does, waits for its end.
"""

import os
import signal
import threading

# {number: handler}
_handlers = {}
# The signals that a thread had held back before it forked.
_forking = threading.local()


def set_own_handler(number, handler):
    """
    Have a signal call a handler in this process; return what was there before.

    Call it on the main thread.
    """
    _handlers[number] = handler
    return signal.signal(number, handler)


def _hold_back():
    """Have signals wait: one that comes to a child at once is not for this process."""
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _handlers)


def _let_come():
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _forget_in_child():
    for number, handler in _handlers.items():
        if signal.getsignal(number) == handler:
            is_interrupt = number == signal.SIGINT
            default = signal.default_int_handler if is_interrupt else signal.SIG_DFL
            signal.signal(number, default)
            # The other end is the parent's.
            signal.set_wakeup_fd(-1)
    _handlers.clear()
    _let_come()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_hold_back, after_in_parent=_let_come, after_in_child=_forget_in_child
    )
