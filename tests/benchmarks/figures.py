"""What repeated measurements say together: medians, spreads and ratios."""

import statistics
from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Measurement:
    """One run: what was done, in which time, at which cost of CPU."""

    operations: int
    seconds: float
    # Of the server with its children; of the process that loads it; of the rest
    # of the machine.
    server_cpu_seconds: float
    loader_cpu_seconds: float
    other_cpu_seconds: float

    @classmethod
    def sum(cls, parts):
        """Return what several runs are together."""
        return cls(*map(sum, zip(*map(astuple, parts))))

    @property
    def rate(self):
        """Operations in a second."""
        return self.operations / self.seconds

    @property
    def cpu(self):
        """Microseconds of the server's CPU for one operation."""
        return self.server_cpu_seconds / self.operations * 1e6

    @property
    def loader_share(self):
        """The part of one core that the loader used: near 1, it is the limit."""
        return self.loader_cpu_seconds / self.seconds

    @property
    def other_share(self):
        """The part of one core that everything else used: near 0, it was quiet."""
        return max(self.other_cpu_seconds / self.seconds, 0.0)


@dataclass(frozen=True)
class Figure:
    """The median of some values, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        """Return the figure of one value or more."""
        values = list(values)
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def show(self, digits=0):
        """Return it as text: the median, and the spread in parentheses."""
        median, low, high = (
            f"{value:,.{digits}f}" for value in (self.median, self.low, self.high)
        )
        return f"{median} ({low} to {high})"


def ratios(ours, peers, what):
    """
    Return our value divided by the peer's, for each pair of runs.

    ``what`` is the name of an attribute of Measurement.
    """
    return [
        getattr(one, what) / getattr(other, what)
        for one, other in zip(ours, peers, strict=True)
    ]


def alternate(items, times):
    """
    Yield the items in the order in which they are to be measured.

    Each comes so many times. Every second turn goes backward, so that a machine
    that gets slower or faster favors nobody.
    """
    for number in range(times):
        yield from items if number % 2 == 0 else reversed(items)
