"""The class-based consumers of sockets, in the place that they are imported from."""

from django.channels.generic.json_sockets import JsonWebsocketConsumer
from django.channels.generic.multiplexing import (
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)
from django.channels.generic.sockets import WebsocketConsumer

__all__ = [
    "JsonWebsocketConsumer",
    "WebsocketConsumer",
    "WebsocketDemultiplexer",
    "WebsocketMultiplexer",
]
