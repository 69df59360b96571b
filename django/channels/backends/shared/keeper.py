"""
The thread that keeps a layer alive: leases, lost rings, lost data.

In: the bell, when event loops wait and no other thread listens for them.
Out: Store.renew() and look() once a second, and what the layer does about it.
"""

import logging
import threading
import time

from django.channels.exceptions import LayerUnavailable

from ..waiters import ThreadWaiter
from .store import RENEWAL_SECONDS

logger = logging.getLogger("django.channels")


class Keeper:
    """A daemon thread that starts when the process has something to keep."""

    def __init__(self, name, bell, tick):
        self._name = name
        self._bell = bell
        # Called once a second.
        self._tick = tick
        self._lock = threading.Lock()
        self._thread = None
        self._failing = False

    def start(self):
        """Start the thread, unless it runs."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=f"{self._name} keeper", daemon=True
                )
                try:
                    self._thread.start()
                except RuntimeError:
                    # There are too many. The next call tries it again.
                    self._thread = None
                    raise

    def stop(self):
        """End the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None or thread is threading.current_thread():
            return
        self._bell.call_keeper()
        thread.join()

    def _is_on(self):
        return self._thread is threading.current_thread()

    def _run(self):
        waiter = ThreadWaiter(0)
        due = time.monotonic() + RENEWAL_SECONDS
        while self._is_on():
            waiter.counted = False
            waiter.queues = ()
            self._guarded(self._bell.keep, waiter, due)
            if self._is_on() and time.monotonic() >= due:
                due = time.monotonic() + RENEWAL_SECONDS
                self._guarded(self._tick)

    def _guarded(self, function, *args):
        """Call a function that may fail as long as the store is away."""
        try:
            function(*args)
        except LayerUnavailable as error:
            if not self._failing:
                logger.error("%s is not available: %s", self._name, error)
            self._failing = True
            # Whoever waits looks now, and learns it, too.
            self._bell.wake_all(self._bell.names())
            self._bell.rest(RENEWAL_SECONDS)
        except Exception:
            logger.exception("%s could not be kept alive.", self._name)
            self._bell.rest(RENEWAL_SECONDS)
        else:
            if self._failing and function == self._tick:
                self._failing = False
                logger.warning("%s is available again.", self._name)
