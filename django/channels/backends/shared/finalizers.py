"""
What coroutines do as the garbage collector ends them.

In: courier.py and reader.py, in any thread, between any two steps of what it does.
Out: the same calls. A thread that has a lock already would wait for it for ever: then
another one makes the call.
"""

import threading


def call_aside(lock, function, *args):
    """Call a function with a lock held, in another thread if that has to wait."""
    if lock.acquire(blocking=False):
        try:
            function(*args)
        finally:
            lock.release()
    else:
        aside = (lock, function, *args)
        threading.Thread(target=_call, args=aside, daemon=True).start()


def _call(lock, function, *args):
    with lock:
        function(*args)
