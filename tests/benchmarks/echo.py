"""
WebSocket echo: a synchronous consumer under runserver against Channels 4.

Both on the same Daphne. A bare application on it shows the limit.
"""

from .comparison import Comparison
from .socket_variants import socket_variants

ROUNDS = 5
SECONDS = 2.0


def comparisons(sides):
    """Return one for many sockets and one for a single socket."""
    return [
        Comparison(
            title=f"echo, {sockets} socket(s), one message under way on each",
            unit="messages",
            load_name="echo",
            options={"sockets": sockets},
            variants=socket_variants(sides, "/echo/"),
        )
        for sockets in (32, 1)
    ]
