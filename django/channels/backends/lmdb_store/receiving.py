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
        life = self._life
        if life is None or self._bell is None:
            return None
        if handed := self.accept(inbox, True):
            return [(inbox, entry) for entry in handed]
        self._waiting.add(inbox)
        waits = False
        try:
            taken, waits = self._run_at_once(
                queues.take_few, inbox, limit, life.number, steps.AT_ONCE_MESSAGES
            )
            return taken
        except Busy:
            return None
        finally:
            if not waits:
                self._waiting.discard(inbox)

    def take(self, names, limit, wait=False):
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
            if wait and not waits:
                self._waiting.difference_update(names)
        handed = [
            (name, entry)
            for name, count in counts.items()
            for entry in self._accept(name, count)
        ]
        return handed + taken

    def _take(self, step, counts, names, *args):
        """
        Do as queues.take() does; count for each inbox what was handed over before.

        Whoever sends to it later has to wait for this step.
        """
        bell, inboxes = self._bell, [name for name in names if name[-1] == "!"]
        if inboxes and bell is not None:
            bell.fetch()
        with self._handed.lock:
            counts.update((name, self._handed.count(name)) for name in inboxes)
        return queues.take(step, names, *args)

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
        self._waiting.difference_update(names)
        if more:
            # Whoever waits looks: which of them has something takes a transaction.
            names += self._waiting
        return _join(offered, names)

    def interrupt(self):
        self._join()
        if bell := self._bell:
            bell.interrupt()

    def look(self, names):
        return self._run(queues.look, names, makes_room=True)

    def pass_on(self, queue):
        self._run(queues.pass_on, queue, self._number(), makes_room=True)


def _join(offered, names):
    """Return the rings of listen(): what is offered is older."""
    rings = [(name, True) for name in offered]
    return rings + [(name, None) for name in dict.fromkeys(names)]
