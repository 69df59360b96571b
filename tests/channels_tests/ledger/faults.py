"""
What a fault can cost, as data: the documentation has it, and the tests hold it.

Duplicates, phantoms and the like cost nothing here: they never are.
"""

from dataclasses import dataclass
from typing import Callable

LAYERS = ("memory", "ipc", "database", "redis")


@dataclass(frozen=True)
class Cost:
    """What may be lost: a name for the table, its meaning, and what it excuses."""

    name: str
    meaning: str
    # Takes the books and [(intent, channel)]; returns those that it does not excuse.
    unexcused: Callable


@dataclass(frozen=True)
class Fault:
    """Something that breaks, and what it costs on the layers that know it."""

    name: str
    title: str
    costs: dict


def _everything(books, lost):
    return lost


def _in_hand(books, lost):
    """What is in the inboxes of killed programs, and what readers there had taken."""
    inboxes, hands = set(), {}
    for program in books.killed:
        for name in books.roles_of(program):
            inboxes.add(f"{name}!")
            for channel, count in books.in_hand(name).items():
                hands[channel] = hands.get(channel, 0) + count
    left = []
    for intent, channel in lost:
        if channel.partition("!")[0] + "!" in inboxes:
            continue
        hands[channel] = hands.get(channel, 0) - 1
        if hands[channel] < 0:
            left.append((intent, channel))
    return left


def _waiting(books, lost):
    end = max(end for _, end in books.broken)
    return [(intent, channel) for intent, channel in lost if intent.begun > end]


def _gap(books, lost):
    """
    Group messages until the process of the member tells that some may be lost.

    It does so when its groups have it again. There may be no message later than
    that to one of them.
    """
    end = max(end for _, end in books.broken)
    left = []
    for intent, channel in lost:
        limit = end
        if intent.kind == "group":
            program = books.program_of(channel.partition("!")[0])
            limit = max([end, *books.gap_times(program)])
        if intent.kind != "group" or intent.begun > limit:
            left.append((intent, channel))
    return left


def _waiting_and_gap(books, lost):
    return _gap(books, _waiting(books, lost))


def _call(books, lost):
    """As many messages as the calls that were cut off may have taken."""
    taken = max(books.limits(), default=0) * books.cuts
    return lost[taken:]


NOTHING = Cost("nothing", "", _everything)
IN_HAND = Cost(
    "in hand",
    "Messages that the process had received and not worked on, and what waits in its "
    "inbox, which nobody else reads.",
    _in_hand,
)
CALL = Cost(
    "a call",
    "What a receive had taken whose answer did not arrive; at most what it asked for.",
    _call,
)
WAITING = Cost(
    "waiting",
    "Messages that wait in the store, and group messages until the owners of the "
    "members have registered again, which they do within two seconds.",
    _waiting_and_gap,
)
GAP = Cost(
    "a gap",
    "Group messages for its members, from the end of its lease until it goes on. "
    "The ``layer_gap`` signal tells it.",
    _gap,
)
ALL = Cost("all", "Everything: the store is the process.", _everything)
COSTS = (NOTHING, IN_HAND, CALL, GAP, WAITING, ALL)

_no_server = {"ipc": None, "memory": None}
FAULTS = {
    fault.name: fault
    for fault in (
        Fault(
            "writer killed",
            "The sender is killed",
            {"memory": ALL, "ipc": NOTHING, "database": NOTHING, "redis": NOTHING},
        ),
        Fault(
            "reader killed",
            "The receiver is killed",
            {"memory": ALL, "ipc": IN_HAND, "database": IN_HAND, "redis": IN_HAND},
        ),
        Fault(
            "stopped",
            "A process stops for less than 10 s",
            {name: NOTHING for name in LAYERS},
        ),
        Fault(
            "lease over",
            "A process stops for longer",
            {"memory": NOTHING, "ipc": NOTHING, "database": GAP, "redis": GAP},
        ),
        Fault(
            "store stopped",
            "The server stops for a while",
            {**_no_server, "database": NOTHING, "redis": CALL},
        ),
        Fault(
            "store killed",
            "The server is killed and restarted",
            {**_no_server, "database": WAITING, "redis": WAITING},
        ),
        Fault(
            "store empty",
            "The store loses its data",
            {"memory": None, "ipc": WAITING, "database": WAITING, "redis": WAITING},
        ),
        Fault(
            "store old",
            "The store is back with older data",
            {"memory": None, "ipc": None, "database": WAITING, "redis": WAITING},
        ),
        Fault(
            "connection cut",
            "A connection or an answer is cut",
            {**_no_server, "database": CALL, "redis": CALL},
        ),
        Fault(
            "store full",
            "Memory or disk is full",
            {"memory": None, "ipc": NOTHING, "database": NOTHING, "redis": NOTHING},
        ),
        Fault(
            "clock set",
            "The clock of a process is set",
            {name: NOTHING for name in LAYERS},
        ),
        Fault(
            "group empties",
            "The last member goes, another comes",
            {name: NOTHING for name in LAYERS},
        ),
    )
}


def render():
    """Return the table for the documentation."""
    rows = [("Fault", *(f"``{name}``" for name in LAYERS))]
    for fault in FAULTS.values():
        costs = (fault.costs[name] for name in LAYERS)
        rows.append((fault.title, *(cost.name if cost else "--" for cost in costs)))
    widths = [max(map(len, column)) for column in zip(*rows)]
    rule = " ".join("=" * width for width in widths)
    lines = [
        " ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in rows
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])
