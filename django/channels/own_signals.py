"""
Handlers of signals that are this process's own, and not those of its children.

In: handlers of receiving.py and of workers. Out: signals, which do in forked
children what they do by default: whoever ends a child, as a pool of processes
does, waits for its end.
"""

import os
import signal

# {number: handler}
_handlers = {}


def set_own_handler(number, handler):
    """
    Have a signal call a handler in this process; return what was there before.

    Call it on the main thread.
    """
    _handlers[number] = handler
    return signal.signal(number, handler)


def _forget_in_child():
    for number, handler in _handlers.items():
        if signal.getsignal(number) == handler:
            is_interrupt = number == signal.SIGINT
            default = signal.default_int_handler if is_interrupt else signal.SIG_DFL
            signal.signal(number, default)
            # The other end is the parent's.
            signal.set_wakeup_fd(-1)
    _handlers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
