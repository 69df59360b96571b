"""
The dispatch of messages to consumers that do nothing, on the memory layer.

One thread, with signals, routing and everything else that a worker does, against
a bare loop that receives as many at a time. A missed target is the exit code 1.
"""

from dataclasses import dataclass

from .layers import judge
from .layers_comparison import LayerComparison
from .layers_figures import Target

__all__ = ["ROUNDS", "SECONDS", "comparisons", "judge"]

ROUNDS = 5
SECONDS = 1.0

WORKER, COROUTINES, BARE = "worker, 1 thread", "worker, coroutines", "bare loop"


@dataclass(frozen=True)
class Dispatch:
    """One way to consume, in a process of its own."""

    name: str
    call: str

    def start(self, place):
        """Return the function that measures a turn."""
        process = place.start(self.name, "dispatcher.py")
        process.answer()

        def turn(seconds):
            return process.ask(self.call, seconds=seconds)

        return turn


class DispatchComparison(LayerComparison):
    """Several ways in turns."""

    def about(self):
        """Return what the record says of the variants."""
        return {"calls": {variant.name: variant.call for variant in self.variants}}


def comparisons(sides):
    """Return the only one."""
    return [
        DispatchComparison(
            "dispatch, memory layer: an empty consumer",
            "messages/s",
            [
                Dispatch(WORKER, "worker"),
                Dispatch(COROUTINES, "coroutines"),
                Dispatch(BARE, "bare"),
            ],
            [
                Target("at least", 30_000, WORKER, digits=0),
                # What it costs, without a promise.
                Target("at least", None, WORKER, BARE),
            ],
        )
    ]
