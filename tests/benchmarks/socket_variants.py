"""The servers of sockets that are compared: ours, Channels 4, and a bare one."""

from .comparison import Variant
from .sides import PROJECT, SITES

DAPHNE = ["daphne", "--bind", "127.0.0.1", "--port", "{port}"]
RUNSERVER = ["manage.py", "runserver", "--noreload", "127.0.0.1:{port}"]


def socket_variants(sides, path):
    """Return ours, both styles of Channels 4, and the limit, at a path."""
    ours = sides.ours
    return [
        Variant(
            "ours",
            [ours.environment.python, *RUNSERVER],
            {**ours.environ(), "DJANGO_RUNSERVER_HIDE_WARNING": "true"},
            ours.folder,
            {"path": path},
        ),
        _channels(sides, "channels sync", f"/sync{path}"),
        _channels(sides, "channels async", f"/async{path}"),
        Variant(
            "bare daphne",
            sides.peer.command(*DAPHNE, "bare:application"),
            sides.environment.environ(),
            SITES / "bare",
            {"path": path},
        ),
    ]


def _channels(sides, name, path):
    side = sides.peer
    return Variant(
        name,
        side.command(*DAPHNE, f"{PROJECT}.sockets:application"),
        side.environ(),
        side.folder,
        {"path": path},
    )
