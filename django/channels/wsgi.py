"""
What a project's wsgi.py imports to let workers answer behind a WSGI server.

In: requests, from any WSGI server. Out: messages on a channel layer, for runworker.
"""

import django
from django.channels.exceptions import InvalidChannelLayerError
from django.channels.interface.wsgi import WsgiApplication
from django.channels.layers import DEFAULT_CHANNEL_LAYER, channel_layers

__all__ = ["get_bus_application"]


def get_bus_application(layer_alias=DEFAULT_CHANNEL_LAYER, limits=None):
    """
    Return a WSGI application that puts every request onto a layer.

    ``limits`` are overrides of CHANNEL_LIMITS. Raise InvalidChannelLayerError if
    there is no such layer, or if no other process sees what is sent on it.
    """
    django.setup(set_prefix=False)
    layer = channel_layers[layer_alias]
    if layer.local_only():
        raise InvalidChannelLayerError(
            f"Channel layer {layer} does not span processes: no worker could answer."
        )
    return WsgiApplication(layer, limits)
