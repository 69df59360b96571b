"""
HTTP over the bus: a server that forwards, Redis, and workers that answer.

The rows of what is promised for HTTP, against gunicorn with one sync worker,
which serves the same view, on the same Django, with the default middleware. Its
clients ask as often as ours, each on a new connection: it keeps none. A missed
target is the exit code 1.
"""

from .bus_stacks import DAPHNE, GUNICORN, UVICORN, BusComparison, Stack
from .layers import judge
from .layers_figures import Target

__all__ = ["ROUNDS", "SECONDS", "comparisons", "judge"]

ROUNDS = 5
SECONDS = 3.0

ON_UVICORN, ON_DAPHNE = "uvicorn, 1 worker", "daphne, 1 worker"
ON_TWO_WORKERS = "uvicorn, 2 workers"
PEER = "gunicorn, sync"


def comparisons(sides):
    """Return all of them, in the order of the table of what is promised."""
    return [
        trivial_view(sides, 32),
        trivial_view(sides, 256),
        waiting_view(sides),
        many_connections(sides),
    ]


def trivial_view(sides, connections):
    options = {"connections": connections}
    return BusComparison(
        f"bus, trivial view, default middleware: {connections} connections",
        "requests/s",
        [
            Stack(ON_UVICORN, sides.ours, UVICORN, **options),
            Stack(ON_DAPHNE, sides.ours, DAPHNE, **options),
            Stack(PEER, sides.peer, GUNICORN, workers=0, **options),
        ],
        [
            Target("at least", 1.0, ON_UVICORN, PEER),
            Target("at most", 1.5, ON_UVICORN, PEER, key="p99"),
            Target("at least", 0.8, ON_DAPHNE, PEER),
            *no_errors(ON_UVICORN, ON_DAPHNE),
        ],
    )


def waiting_view(sides):
    options = {"path": "/wait/", "connections": 32}
    return BusComparison(
        "bus, a view that waits 5 ms: 1 and 2 worker processes, 32 connections",
        "requests/s",
        [
            Stack(ON_TWO_WORKERS, sides.ours, UVICORN, workers=2, **options),
            Stack(ON_UVICORN, sides.ours, UVICORN, **options),
        ],
        [
            Target("at least", 1.8, ON_TWO_WORKERS, ON_UVICORN),
            *no_errors(ON_TWO_WORKERS, ON_UVICORN),
        ],
    )


def many_connections(sides):
    return BusComparison(
        "bus, trivial view: 1,024 connections at once",
        "requests/s",
        [
            Stack(ON_UVICORN, sides.ours, UVICORN, connections=1024),
            Stack(PEER, sides.peer, GUNICORN, workers=0, connections=1024),
        ],
        [
            Target("at most", 2000, ON_UVICORN, key="p99", unit="ms", digits=0),
            *no_errors(ON_UVICORN),
        ],
    )


def no_errors(*names):
    """Return the targets that say that every request is answered."""
    return [Target("at most", 0, name, key="errors", digits=0) for name in names]
