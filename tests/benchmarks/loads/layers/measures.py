"""What the loads of layers send, and how they take the time."""

import statistics
import time
import uuid

# A message of 100 bytes.
MESSAGE = {"text": "x" * 100}
# How many round trips do not count, except as the longest.
WARM_UP = 20


def new_inbox():
    """Return the name of an inbox that no other process has."""
    return f"bench.{uuid.uuid4().hex[:12]}!"


class Percentiles:
    """The times of many round trips."""

    def __init__(self):
        self.last = time.monotonic()
        self._times = []

    def begin(self):
        self._begun = time.perf_counter()

    def end(self):
        self._times.append(time.perf_counter() - self._begun)
        self.last = time.monotonic()

    def result(self):
        """Return the count, and two percentiles and the longest in milliseconds."""
        times = self._times[WARM_UP:]
        if len(times) < 2:
            times = self._times * 2
        cuts = statistics.quantiles(times, n=100, method="inclusive")
        return {
            "count": len(times),
            "p50": cuts[49] * 1e3,
            "p99": cuts[98] * 1e3,
            "max": max(self._times) * 1e3,
        }
