"""
Channels: consumers that take messages from channels and send to others.

Every public name of this package is provisional in the sense of PEP 411: it
may change, or go, in a later release. docs/releases/channels.txt says what
removing this label needs.
"""

from django.channels.channel import Channel, Group
from django.channels.layers import DEFAULT_CHANNEL_LAYER, channel_layers
from django.channels.message import Message
from django.channels.routing import include, route, route_class

__all__ = [
    "Channel",
    "DEFAULT_CHANNEL_LAYER",
    "Group",
    "Message",
    "channel_layers",
    "include",
    "route",
    "route_class",
]
