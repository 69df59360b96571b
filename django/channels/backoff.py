"""
How long to wait before something is tried again.

In: the first pause and the longest, from whoever tries. Out: the seconds of each.
"""

# Seconds until a full channel is tried again for the first time.
FIRST_RETRY_SECONDS = 0.002


class Backoff:
    """
    The pauses between several tries: each twice as long as the one before.

    They begin with ``first`` seconds; none is longer than ``last`` seconds, which
    may be changed.
    """

    def __init__(self, first, last):
        self.first = first
        self.last = last
        self.reset()

    def reset(self):
        """Begin again: it works."""
        self._seconds = self.first

    def next(self):
        """Return the seconds to wait now."""
        seconds = min(self._seconds, self.last)
        self._seconds = min(2 * seconds, self.last)
        return seconds
