"""Layers and settings that the tests of this package share."""

from contextlib import contextmanager

from django.channels import channel_layers
from django.channels.backends.memory import MemoryChannelLayer
from django.channels.layers import ChannelLayerWrapper
from django.test import override_settings

MEMORY = "django.channels.backends.memory.MemoryChannelLayer"


class SpanningLayer(MemoryChannelLayer):
    """A memory layer that says that other processes see it."""

    spans_processes = True


def layer_settings(routing=(), backend=MEMORY, **config):
    """Return CHANNEL_LAYERS with one default layer."""
    return {"default": {"BACKEND": backend, "ROUTING": routing, "CONFIG": config}}


def make_layer(routing=(), layer_class=MemoryChannelLayer, **options):
    """Return a layer as the manager would build it, which nothing else uses."""
    return ChannelLayerWrapper(layer_class(**options), "default", routing)


@contextmanager
def default_layer(routing=(), **options):
    """Put a fresh layer in the default one's place."""
    with override_settings(CHANNEL_LAYERS=layer_settings(routing)):
        layer = make_layer(routing, **options)
        channel_layers.set("default", layer)
        yield layer
