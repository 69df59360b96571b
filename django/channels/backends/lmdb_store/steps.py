"""
How the store carries out its steps: in transactions, and what follows them.

In: functions of queues.py, groups.py and others, from store.py. Out: LMDB, and rings
once a transaction is committed. Event loops have one carried out themselves if nobody
else is in one; whatever else may take time is for a thread.
"""

from functools import partial

from ..shared.flights import Landed
from ..shared.store import Store
from . import care, handing, processes, queues
from .transaction import Busy, Transaction

# What an event loop does itself: so many messages, and bytes, at the most.
AT_ONCE_MESSAGES = 64
AT_ONCE_BYTES = 65536


class StepStore(Store):
    """The part of LMDBStore that is about steps."""

    def _start_steps(self):
        # How many queues were made since the last sweep, and where the next begins.
        self._made = 0
        self._sweep_key = b"g"

    def _run(self, function, *args, makes_room=False):
        """Carry out a function of a step and its arguments; ring; return its result."""
        environment = self._environment or self._open()
        body = partial(self._carry_out, environment, function, args)
        result, step = environment.run(body, makes_room)
        self._made += step.made
        if self._ring(environment, step) or self._made >= care.SWEEP_EVERY:
            self._clean_up(environment, step)
        return result

    def _run_at_once(self, function, *args):
        """
        Do as _run() does for a step that makes room and rings nobody.

        Raise Busy instead of waiting for others.
        """
        _, _, result = self._try(function, args, makes_room=True)
        return result

    def _begin(self, function, *args):
        """Do as _run() does, but do not wait; return a Flight, None if others write."""
        try:
            environment, step, result = self._try(function, args)
        except Busy:
            return None
        if self._ring(environment, step) or self._made >= care.SWEEP_EVERY:
            return Landed(result, partial(self._clean_up, environment, step))
        return Landed(result)

    def _try(self, function, args, makes_room=False):
        environment = self._environment
        if environment is None:
            raise Busy
        body = partial(self._carry_out, environment, function, args)
        result, step = environment.run_at_once(body, makes_room)
        self._made += step.made
        return environment, step, result

    def _carry_out(self, environment, function, args, txn):
        """Return the result of a function of a step, and the step."""
        step = Transaction(txn, self.clock(), environment.expectations)
        result = function(step, *args)
        step.finish()
        return result, step

    def _ring(self, environment, step):
        """
        Hand over what a step is to hand over, and ring whom it is to ring.

        Return whether somebody was not there; the step has only those left then.
        """
        directory, ringer = environment.directory, environment.ringer
        if step.handed:
            step.handed = [
                handed
                for handed in step.handed
                if not ringer.hand(
                    processes.bell_path(directory, handed[0]), handing.pack(*handed[1:])
                )
            ]
        if step.rings:
            step.rings = {
                number: names
                for number, names in step.rings.items()
                if not ringer.ring(processes.bell_path(directory, number), names)
            }
        return bool(step.handed or step.rings)

    def _clean_up(self, environment, step):
        """Serve others instead of who is gone; sweep if it is time."""
        for _, name, deadline, payload in step.handed:
            self._run(queues.append_anyway, name, deadline, payload, makes_room=True)
        for number, names in step.rings.items():
            self._bury(environment, number)
            for name in names:
                self._run(queues.pass_on, name, 0, makes_room=True)
        if self._made >= care.SWEEP_EVERY:
            self._made = 0
            self._sweep()

    def _sweep(self):
        self._sweep_key = self._run(care.sweep, self._sweep_key, makes_room=True)
