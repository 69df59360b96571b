"""The figures of a benchmark of layers: what is promised, and whether it holds."""

import operator
from dataclasses import asdict, dataclass

from .figures import Figure

BOUNDS = {"at least": operator.ge, "at most": operator.le}


@dataclass(frozen=True)
class Target:
    """
    What is promised of a variant: of its value, or of its ratio to another's.

    ``runs`` are lists of dicts by the names of variants; ``key`` is what of the
    dicts is meant. Without a ``limit`` the figure is only shown.
    """

    bound: str
    limit: float
    name: str
    other: str = None
    key: str = "value"
    unit: str = ""
    # How the values are shown.
    digits: int = 2
    # Where the limit is from.
    note: str = ""

    def judge(self, runs):
        """Return what is to be recorded of it."""
        values = [run[self.key] for run in runs[self.name]]
        if self.other:
            others = [run[self.key] for run in runs[self.other]]
            values = [one / other for one, other in zip(values, others, strict=True)]
        figure = Figure.of(values)
        met = self.limit is None or BOUNDS[self.bound](figure.median, self.limit)
        what = f"{self.name} / {self.other}" if self.other else self.name
        key = "" if self.key == "value" else f" {self.key}"
        unit = f" {self.unit}" if self.unit else ""
        text = f"{what}:{key} {figure.show(self.digits)}{unit}"
        if self.limit is not None:
            text += (
                f"; {self.bound} {self.limit:,g} is the target{self._source}: "
                f"{'met' if met else 'MISSED'}"
            )
        return {**asdict(self), **asdict(figure), "met": met, "text": text}

    @property
    def _source(self):
        return f" ({self.note})" if self.note else ""


def show_table(rows, out):
    """Print rows of text, the first one of them the head, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:])]
        out("  " + "  ".join([f"{first:{widths[0]}}", *cells]).rstrip())


def percent(share):
    """Return a part of one core as text."""
    return f"{share * 100:.2f} %"
