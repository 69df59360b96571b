"""
How event loops use a store: one thread works for all of them.

In: calls from coroutines, on any loop. Out: calls of the store, in this thread.
What several coroutines send while it is busy goes out in one step, and results
return to a loop in one wake. A send that comes alone needs no thread where the
store can begin it without waiting: the loop itself looks for what comes of it.
"""

import contextlib
import logging
import threading
from collections import deque

from .calls import Call, Errand
from .finalizers import call_aside
from .flights import watch
from .spinning import Spinner

logger = logging.getLogger("django.channels")


class Courier:
    """
    A daemon thread that starts with the first call and works in their order.
    """

    def __init__(self, name, store):
        self._name = name
        self._store = store
        self._calls = deque()
        # How many calls are not worked off, and is a send on its way without them?
        self._open = 0
        self._flying = False
        # The keys of calls that may have to be undone, or are being undone.
        self._undoable = set()
        self._spinner = Spinner()
        self._ready = threading.Condition(threading.Lock())
        self._thread = None
        # The thread that was started last; it may have some calls left.
        self._last = None

    async def call(self, function, *args, undo=None):
        """
        Return the result of a function, called in the thread.

        If the caller is cancelled, the function runs all the same; with an
        ``undo``, either both run, that one with its result, a list, or neither
        does. When the loop stands still, both do, and the caller gets an empty
        list as it goes on.
        """
        call = Call(function, args, undo)
        self._submit(call)
        try:
            result = await call.future
        except GeneratorExit:
            # The loop was closed, and now this is garbage.
            if call.abandon():
                call_aside(self._ready, self._take_back_locked, call)
            raise
        except BaseException:
            if call.abandon():
                with self._ready:
                    self._take_back_locked(call)
            raise
        self._undoable.discard(call.key)
        return result

    def errand(self, function, *args):
        """Have a function called in the thread that reports its failures itself."""
        self._submit(Errand(function, *args))

    async def send(self, batches):
        """See Store.append(); what others send meanwhile may go with it."""
        if flight := self._take_off(self._store.begin_append, batches):
            return await self._fly(flight)
        return await self.call(None, batches)

    async def send_group(self, group, payload):
        """See Store.send_group()."""
        if flight := self._take_off(self._store.begin_send_group, group, payload):
            await self._fly(flight)
        else:
            await self.call(self._store.send_group, group, payload)

    @property
    def is_busy(self):
        """Is something on its way, behind which the next call has to stay?"""
        return self._open > 0 or self._flying

    @property
    def may_undo(self):
        """May something that was received go back to where it was?"""
        return bool(self._undoable)

    def _take_off(self, begin, *args):
        """Return a Flight if nothing else is on its way, and the store can begin it."""
        return None if self.is_busy else begin(*args)

    async def _fly(self, flight):
        """Return what came of a send that was begun."""
        if flight.is_over:
            return flight.poll()
        self._flying = True
        try:
            stored = None if flight.is_stuck else await watch(flight, self._spinner)
        except GeneratorExit:
            if not flight.is_over:
                call_aside(self._ready, self._submit_locked, Errand(_land, flight))
            raise
        except BaseException:
            if not flight.is_over:
                # Before the next call of the same sender: its order holds.
                self.errand(_land, flight)
            raise
        finally:
            self._flying = False
        if stored is None:
            return await self.call(flight.conclude)
        return stored

    def stop(self):
        """Work off the calls, then end the thread; the next call starts another."""
        with self._ready:
            thread, self._thread = self._thread, None
            self._ready.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _submit(self, call):
        with self._ready:
            self._submit_locked(call)

    def _submit_locked(self, call, first=False):
        if self._thread is None:
            self._start_locked()
        self._open += 1
        if call.undo is not None:
            self._undoable.add(call.key)
        if first:
            self._calls.appendleft(call)
        else:
            self._calls.append(call)
        self._ready.notify()

    def _take_back_locked(self, call):
        """Have a result undone that its coroutine did not take."""
        if call.can_be_undone():
            # Before the next call of the same reader: its order holds.
            errand = Errand(self._undo, call, undo=call.undo)
            self._submit_locked(errand, first=True)
        self._undoable.discard(call.key)

    def _start_locked(self):
        thread = threading.Thread(
            target=self._run,
            args=(self._last,),
            name=f"{self._name} courier",
            daemon=True,
        )
        # RuntimeError: there are too many. The next call tries it again.
        thread.start()
        self._thread = self._last = thread

    def _run(self, last):
        if last is not None:
            # It may be at a call that comes before all others.
            last.join()
        thread = threading.current_thread()
        while True:
            with self._ready:
                while not self._calls:
                    if self._thread is not thread:
                        return
                    self._ready.wait()
                calls, self._calls = self._calls, deque()
            for group in _grouped(calls):
                self._work(group)
            # Who waited for them may be garbage from here on.
            del calls, group

    def _work(self, calls):
        if calls[0].function is None:
            self._send(calls)
        else:
            calls[0].run()
        with self._ready:
            self._open -= len(calls)
        if isinstance(calls[0], Errand):
            self._undoable.discard(calls[0].key)
            return
        loops = {}
        for call in calls:
            if call.can_be_undone() and not call.loop.is_running():
                # It may stand still for long: whoever waits there looks again.
                self._undo(call)
                call.result = []
            if call.finish():
                loops.setdefault(call.loop, []).append(call)
            elif call.can_be_undone():
                self._undo(call)
                call.result = []
            if not call.can_be_undone():
                self._undoable.discard(call.key)
        for loop, done in loops.items():
            # RuntimeError: it was closed, and its coroutines will be, too.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, done)

    def _undo(self, call):
        """Give back what nobody took; what that loses is in the log."""
        try:
            call.undo(call.result)
        except Exception as error:
            logger.error(
                "%s lost %d messages that a cancelled receive had taken: %s",
                self._name,
                len(call.result),
                error,
            )

    def _send(self, calls):
        """Send what several callers gave as one, each queue once."""
        merged = {}
        for call in calls:
            for queue, capacity, payloads in call.args[0]:
                merged.setdefault(queue, (queue, capacity, []))[2].extend(payloads)
        try:
            stored = dict(zip(merged, self._store.append(list(merged.values()))))
        except Exception as error:
            for call in calls:
                call.error = error
            return
        for call in calls:
            call.result = []
            for queue, _, payloads in call.args[0]:
                count = min(len(payloads), stored[queue])
                stored[queue] -= count
                call.result.append(count)


def _land(flight):
    """Bring a flight to its end that nobody waits for any more."""
    # As with every call, whoever was cancelled does not learn what came of it.
    with contextlib.suppress(Exception):
        flight.conclude()


def _settle(calls):
    for call in calls:
        call.settle()


def _grouped(calls):
    """Yield lists of calls that are worked on in one step."""
    sends = []
    for call in calls:
        if call.function is None:
            sends.append(call)
            continue
        if sends:
            yield sends
            sends = []
        yield [call]
    if sends:
        yield sends
