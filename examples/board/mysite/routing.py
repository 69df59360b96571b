"""The channel routing of the project."""

from board.consumers import BoardConsumer

channel_routing = [
    BoardConsumer.as_route(path=r"^/stream/$"),
]
