"""
The store's calls for who receives: what it takes, and how it waits for more.

In: store.py. Out: the steps of queues.py, and what the bell of this process tells.
"""

from functools import partial

from ..shared.store import AHEAD, Entry
from . import queues, steps
from .records import FOREVER
from .transaction import Busy


class ReceiveCalls(steps.StepStore):
    """The part of LMDBStore that is about receiving."""

    # Taking.

    def take_at_once(self, inbox, limit):
        bell, life = self._bell, self._life
        if bell is None or life is None:
            return None
        self._waiting.add(inbox)
        waits = False
        counts = {}
        args = inbox, limit, life.number, steps.AT_ONCE_MESSAGES
        try:
            taken, waits = self._run_at_once(self._take_few, counts, *args)
        except Busy:
            return None
        finally:
            if not (waits and self._bell is bell):
                self._waiting.discard(inbox)
        return self._accept_counted(counts) + taken

    def take(self, names, limit, wait=False):
        # As long as it is the same, nobody else waits in the name of this process.
        bell = self._bell
        waiter = self._join() if wait else 0
        number = self._number()
        waits = False
        if wait:
            # Before it is so: who listens takes it back as the ring comes.
            self._waiting.update(names)
        counts = {}
        try:
            taken, waits = self._run(
                self._take,
                counts,
                names,
                limit,
                waiter,
                number,
                wait == AHEAD,
                makes_room=True,
            )
        finally:
            if wait and not (waits and self._bell is bell):
                self._waiting.difference_update(names)
        return self._accept_counted(counts) + taken

    def _take(self, step, counts, names, *args):
        """
        Do as queues.take() does; count for each inbox what was handed over before.

        Whoever sends to it later has to wait for this step.
        """
        if inboxes := [name for name in names if name[-1] == "!"]:
            self._count_handed(counts, inboxes)
        return queues.take(step, names, *args)

    def _take_few(self, step, counts, inbox, *args):
        """Do the same with queues.take_few()."""
        self._count_handed(counts, [inbox])
        return queues.take_few(step, inbox, *args)

    def _count_handed(self, counts, inboxes):
        if bell := self._bell:
            bell.fetch()
        with self._handed.lock:
            counts.update((name, self._handed.count(name)) for name in inboxes)

    def begin_wait(self, names):
        environment, life = self._environment, self._life
        if len(names) > 1 or environment is None or life is None:
            return None
        (name,) = names
        expectations = environment.expectations
        # Otherwise nobody would ring if it is not served.
        if name[-1] != "!" or name not in self._waiting or expectations is None:
            return None
        if not expectations.begin(life.number, name):
            return None
        return partial(expectations.end, life.number, name)

    def hears(self, inbox):
        return inbox in self._waiting

    def accept(self, inbox, offered):
        return self._accept(inbox, None)

    def is_at_hand(self, inbox, offered):
        return True

    def _accept_counted(self, counts):
        return [
            (name, entry)
            for name, count in counts.items()
            if count
            for entry in self._accept(name, count)
        ]

    def _accept(self, inbox, count):
        with self._handed.lock:
            found = self._handed.pop(inbox, count)
        if not found:
            return []
        now = self.clock()
        return [
            Entry(payload, None if deadline == FOREVER else deadline - now)
            for deadline, payload in found
        ]

    # Listening.

    def listen(self, timeout, inboxes=()):
        self._join()
        bell = self._bell
        if bell is None:
            return []
        offered, names, more = bell.listen(timeout)
        self._waiting.difference_update(names)
        if more and self._waiting:
            names += self.look(list(self._waiting))
        return _join(offered, names)

    def ear(self, inboxes):
        bell = self._bell
        return None if bell is None else bell.ear()

    def hear(self):
        bell = self._bell
        if bell is None:
            return []
        offered, names, more = bell.listen(0)
        if more:
            # Whoever waits looks: which of them has something takes a transaction.
            names += list(self._waiting)
        self._waiting.difference_update(names)
        return _join(offered, names)

    def interrupt(self):
        self._join()
        if bell := self._bell:
            bell.interrupt()

    def look(self, names):
        found = self._run(queues.look, names, makes_room=True)
        # Whoever was to ring for them may have been killed.
        self._waiting.difference_update(found)
        return found

    def pass_on(self, queue):
        self._run(queues.pass_on, queue, self._number(), makes_room=True)


def _join(offered, names):
    """Return the rings of listen(): what is offered is older."""
    rings = [(name, True) for name in offered]
    return rings + [(name, None) for name in dict.fromkeys(names)]
