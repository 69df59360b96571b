"""
Sockets through a worker: uvicorn, Redis, and message consumers behind it.

The rows of what is promised for sockets, against Channels 4 with channels_redis
on the same uvicorn, which runs its consumers itself. A bare application on it
shows the limit. Each answer and each delivery is checked: one that is lost,
repeated or wrong ends the benchmark. A missed target is the exit code 1.
"""

from .bus_stacks import UVICORN, BusComparison
from .layers import judge
from .layers_figures import Target
from .socket_stacks import BARE, BARE_UVICORN, SocketStack

__all__ = ["ROUNDS", "SECONDS", "comparisons", "judge"]

ROUNDS = 5
SECONDS = 3.0

OURS = "ours, 1 worker"
SYNC, ASYNC = "channels, sync", "channels, async"
LIMIT = "bare uvicorn"
# What the historic app did, on the machine of those who measured it.
HISTORIC_ECHOES = 735
# How much the memory of server and worker may grow while they broadcast.
GROWTH_MEGABYTES = 16
# How many broadcasts are under way: one would have servers wait for the load.
UNDER_WAY = 4


def comparisons(sides):
    """Return all of them, in the order of the table of what is promised."""
    return [
        many_echoes(sides),
        one_echo(sides),
        broadcast(sides),
    ]


def many_echoes(sides):
    return BusComparison(
        "sockets, echo: 256 sockets, one message under way on each",
        "messages/s",
        stacks(sides, "/echo/", load="echo", connections=256),
        [
            Target(
                "at least",
                4 * HISTORIC_ECHOES,
                OURS,
                unit="messages/s",
                digits=0,
                note=f"4 times the historic {HISTORIC_ECHOES}, on another machine",
            ),
            *without_promise(SYNC, ASYNC),
        ],
    )


def one_echo(sides):
    return BusComparison(
        "sockets, echo: 1 socket, one message under way",
        "messages/s",
        stacks(sides, "/echo/", load="echo", connections=1),
        [
            Target("at most", 2, OURS, key="p50", unit="ms"),
            *without_promise(SYNC, ASYNC),
        ],
        part=0.5,
    )


def broadcast(sides):
    return BusComparison(
        "sockets, broadcast: 1,000 sockets in a group, "
        f"{UNDER_WAY} messages under way",
        "deliveries/s",
        stacks(
            sides,
            "/group/",
            load="broadcast",
            connections=1000,
            load_options={"under_way": UNDER_WAY},
        ),
        [
            *(Target("at least", 10, OURS, peer) for peer in (SYNC, ASYNC)),
            Target(
                "at most",
                GROWTH_MEGABYTES,
                OURS,
                key="MB grown",
                unit="MB",
            ),
            # What it costs, without a promise.
            *without_promise(LIMIT),
            *(
                Target("at most", None, OURS, peer, key="µs CPU")
                for peer in (SYNC, ASYNC)
            ),
        ],
    )


def stacks(sides, path, **options):
    """Return ours, both styles of Channels 4, and the limit, at a path."""
    peer = {"side": sides.peer, "workers": 0, **options}
    return [
        SocketStack(OURS, sides.ours, UVICORN, path=path, **options),
        SocketStack(SYNC, server=UVICORN, path=f"/sync{path}", **peer),
        SocketStack(ASYNC, server=UVICORN, path=f"/async{path}", **peer),
        SocketStack(LIMIT, server=BARE_UVICORN, path=path, serves=BARE, **peer),
    ]


def without_promise(*names):
    """Return the targets that only show what ours is to others."""
    return [Target("at least", None, OURS, name) for name in names]
