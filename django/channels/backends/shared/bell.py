"""
Who waits in this process, and which thread listens for all of them.

In: enlist() from receives, sleep() in threads and asleep() on event loops.
Out: Store.listen(), by the first thread that sleeps, or else by the keeper; where
only tasks of one event loop wait, that loop calls Store.hear() if the store can.

A waiter is woken, it is never handed a message: it looks itself, and one that
leaves after it was woken wakes the next. So a message never waits beside a
reader, whatever ends a wait.
"""

import contextlib
import threading
import time
from collections import OrderedDict

from ..waiters import ThreadWaiter
from .ears import LoopListening
from .spinning import Spinner

# How long a thread listens before it looks around, in seconds.
LISTEN_SECONDS = 60
# How long nobody listens while a loop is asked to do it, in seconds at most.
OFFER_SECONDS = 0.5


class Bell(LoopListening):
    """The waiters of a layer in this process."""

    def __init__(self, store, deliver, errand):
        self._store = store
        # What takes what listen() offered for an inbox.
        self._deliver = deliver
        # What has a function called in a thread.
        self._errand = errand
        # How often waiting was ended by close().
        self.closings = 0
        # Told when event loops wait and no thread listens.
        self._lock = threading.Lock()
        self.wanted = threading.Condition(self._lock)
        # {queue: the waiters that nobody has woken, first come first}
        self._lines = {}
        # {loop: the waiters of its tasks among them}
        self._tasks = {}
        # The waiter of the thread that listens, or an Ear.
        self._leader = None
        # The thread of the leader.
        self._thread = None
        # Until when an event loop that was asked to listen may take to answer.
        self._offered_until = 0
        # The waiter of the keeper, and whether it was called.
        self._keeper = None
        self._called = False
        # The inboxes that the leader listens for.
        self._heard = frozenset()
        # For tasks that sleep.
        self._spinner = Spinner()
        # Threads that sleep and may have to listen.
        self._sleepers = OrderedDict()

    # Lines.

    def enlist(self, waiter, names):
        """Put a waiter at the end of the line of each queue; look after this."""
        with self._lock:
            waiter.reset()
            waiter.counted = False
            waiter.queues = names
            for name in names:
                self._lines.setdefault(name, OrderedDict())[waiter] = None
            if not isinstance(waiter, ThreadWaiter):
                self._tasks.setdefault(waiter.loop, set()).add(waiter)

    def release(self, waiter, took):
        """
        Take a waiter out of its lines.

        If it took something, or was woken and did not look, the next one looks.
        """
        with self._lock:
            self._release_locked(waiter, took)

    def wake(self, name):
        """Wake one waiter for a queue; return whether there is one."""
        with self._lock:
            return self._wake_locked(name)

    def wake_all(self, names):
        """Wake one waiter for each of the queues."""
        with self._lock:
            for name in names:
                self._wake_locked(name)

    def names(self):
        """Return the queues that somebody waits for."""
        with self._lock:
            return list(self._lines)

    def counts(self):
        """Return {queue: how many wait for it here}."""
        with self._lock:
            return {name: len(line) for name, line in self._lines.items()}

    def end_waiting(self):
        """Wake all waiters for good."""
        with self._lock:
            self.closings += 1
            self._depose_locked()
            while self._lines:
                self._wake_locked(next(iter(self._lines)))
            self.wanted.notify_all()

    def _release_locked(self, waiter, took):
        names = waiter.queues
        self._unlist_locked(waiter)
        waiter.queues = ()
        if took or waiter.counted:
            for name in names:
                self._wake_locked(name)

    def _unlist_locked(self, waiter):
        if not isinstance(waiter, ThreadWaiter):
            tasks = self._tasks.get(waiter.loop, ())
            if waiter in tasks:
                tasks.remove(waiter)
                if not tasks:
                    del self._tasks[waiter.loop]
        for name in waiter.queues:
            line = self._lines.get(name)
            if line is not None:
                line.pop(waiter, None)
                if not line:
                    del self._lines[name]

    def _wake_locked(self, name):
        while line := self._lines.get(name):
            waiter = next(iter(line))
            self._unlist_locked(waiter)
            waiter.counted = True
            if waiter.wake():
                if waiter is self._leader and self._thread != threading.get_ident():
                    self._store.interrupt()
                return True
        return False

    # Listening.

    def sleep(self, waiter, seconds):
        """
        Return when a thread's waiter was woken, or after ``seconds``.

        The first thread that sleeps listens for all, and has no other thread to
        wait for when its own message comes.
        """
        until = None if seconds is None else time.monotonic() + seconds
        end_wait = self._store.begin_wait(waiter.queues)
        try:
            while not waiter.counted:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return
                if self._begin(waiter):
                    self._lead(waiter, until)
                else:
                    waiter.wait(left)
        finally:
            if end_wait is not None:
                end_wait()
            self._end_lead(waiter)

    def _lead(self, waiter, until):
        """Listen until the waiter was woken or the time has come."""
        while not waiter.counted:
            left = LISTEN_SECONDS
            if until is not None:
                left = min(left, until - time.monotonic())
            if left <= 0:
                return
            self._dispatch(self._store.listen(left, self._listen_for()))
            if waiter is self._keeper and self._may_loop_listen():
                return

    def _end_lead(self, waiter):
        """Let another one listen, if that waiter did or was to."""
        with self._lock:
            if self._leader is waiter:
                self._leader = None
            self._sleepers.pop(waiter, None)
            self._promote_locked()

    def keep(self, waiter, until):
        """
        Return at that time, or as the keeper is called; listen if nobody does.

        This is for event loops: their waiters have no thread to listen in.
        """
        self._keeper = waiter
        while not waiter.counted:
            left = until - time.monotonic()
            if left <= 0:
                return
            with self._lock:
                self._check_ear_locked()
                lead = self._leader is None and bool(self._tasks)
                lead = lead and time.monotonic() >= self._offered_until
                if lead:
                    self._lead_locked(waiter)
                elif not self._called:
                    self.wanted.wait(left)
                if self._called:
                    self._called = False
                    waiter.counted = True
            if lead:
                try:
                    self._lead(waiter, until)
                finally:
                    self._end_lead(waiter)

    def call_keeper(self):
        """Let the keeper return from keep() or rest()."""
        with self._lock:
            self._called = True
            self.wanted.notify_all()
            if self._keeper is not None:
                self._keeper.counted = True
                if self._leader is self._keeper:
                    self._store.interrupt()

    def rest(self, seconds):
        """Return after ``seconds``, or as the keeper is called."""
        with self._lock:
            if not self._called:
                self.wanted.wait(seconds)

    def _begin(self, waiter):
        with self._lock:
            self._depose_locked()
            if self._leader is None:
                self._lead_locked(waiter)
                self._sleepers.pop(waiter, None)
                return True
            if waiter not in self._sleepers:
                self._sleepers[waiter] = None
                self._check_heard_locked(waiter.queues)
            return False

    def _lead_locked(self, waiter):
        self._leader = waiter
        self._thread = threading.get_ident()

    def _check_heard_locked(self, names):
        """Let the leader listen anew if an inbox is new to it."""
        if not self._is_heard_locked(names):
            self._store.interrupt()

    def _is_heard_locked(self, names):
        return not self._store.reads_inboxes or self._heard.issuperset(
            name for name in names if name[-1] == "!"
        )

    def _promote_locked(self):
        """Find another leader where there is none."""
        if self._leader is not None:
            return
        if self._sleepers:
            sleeper, _ = self._sleepers.popitem(last=False)
            sleeper.wake()
        elif self._tasks:
            loop = next(iter(self._tasks))
            if self._may_loop_listen_locked():
                # RuntimeError: it was closed just now.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._offer_lead, loop)
                    self._offered_until = time.monotonic() + OFFER_SECONDS
                    return
            self.wanted.notify_all()

    def _listen_for(self):
        with self._lock:
            return self._listen_for_locked()

    def _listen_for_locked(self):
        self._heard = self._inboxes_locked()
        return self._heard

    def _inboxes_locked(self):
        return frozenset(name for name in self._lines if name[-1] == "!")

    # Passing on what was heard.

    def _dispatch(self, rings):
        for name, offered in rings:
            if offered is not None:
                self._deliver(name, offered)
            if not self.wake(name) and offered is None:
                # Whom it was meant for has left.
                self._store.pass_on(name)
