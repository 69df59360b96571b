"""
Waits that look again and again for a moment before they sleep: adaptive spinning.

In: listening, in threads and on event loops, and calls that are on their way.
Out: their results. To wake who sleeps takes longer than to handle a message, also
for who wakes it; so a wait spins at first if the last one was short. Between two
looks others run, and if nothing comes soon, the next wait sleeps at once.
"""

import asyncio
import os
import time

# How long a wait spins, in seconds.
SPIN_SECONDS = 0.0001
# The next wait spins if this one took no longer, in seconds.
QUICK_SECONDS = 0.0004
# After how many looks a loop does what else there is to do.
LOOKS = 4

# Lets other processes and threads run. Where that is not possible, nothing spins.
_give_way = getattr(os, "sched_yield", None)


class Spinner:
    """Waits for one kind of events; one wait at a time spins."""

    def __init__(self):
        # Was the last wait short?
        self._is_quick = False
        self._is_spinning = False

    def wait(self, look, sleep):
        """Return what look() finds at once or soon, otherwise what sleep() returns."""
        begun = time.perf_counter()
        if self._is_quick:
            until = begun + SPIN_SECONDS
            while not (found := look()) and time.perf_counter() < until:
                _give_way()
            found = found or sleep()
        else:
            found = sleep()
        self._note(begun, found)
        return found

    async def await_(self, look, sleep):
        """See wait(). ``sleep`` is a coroutine function; the loop goes on meanwhile."""
        begun = time.perf_counter()
        found = None
        if self._is_quick and not self._is_spinning:
            until = begun + SPIN_SECONDS
            self._is_spinning = True
            try:
                looks = 1
                while not (found := look()) and time.perf_counter() < until:
                    _give_way()
                    if looks % LOOKS == 0:
                        await asyncio.sleep(0)
                    looks += 1
            finally:
                self._is_spinning = False
        found = found or await sleep()
        self._note(begun, found)
        return found

    def _note(self, begun, found):
        is_short = time.perf_counter() - begun <= QUICK_SECONDS
        self._is_quick = is_short and bool(found) and _give_way is not None
