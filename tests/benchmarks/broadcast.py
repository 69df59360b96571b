"""
Broadcast: sockets in a group under runserver against Channels 4.

Both with their in-memory layer, on the same Daphne. One more socket sends to
the group, and sends again when every member has got the message. Each delivery
is checked: a lost, repeated or reordered one ends the benchmark.
"""

from .comparison import Comparison
from .socket_variants import socket_variants

ROUNDS = 5
SECONDS = 3.0
# A thousand deliveries take the slowest server a second.
TURNS = 4


def comparisons(sides):
    """Return one for a hundred members and one for a thousand."""
    return [
        Comparison(
            title=f"broadcast, {sockets} sockets, one message under way",
            unit="deliveries",
            load_name="broadcast",
            options={"sockets": sockets},
            variants=socket_variants(sides, "/group/"),
            turns=TURNS,
        )
        for sockets in (100, 1000)
    ]
