"""
What commands that serve a channel layer have in common.

In: the option --layer. Out: a layer, or an error for the terminal.
"""

from django.channels.checks import check_spans_processes
from django.channels.layers import DEFAULT_CHANNEL_LAYER, channel_layers
from django.core.management.base import CommandError


def add_layer_argument(parser):
    """Add the option --layer to a command."""
    parser.add_argument(
        "--layer",
        default=DEFAULT_CHANNEL_LAYER,
        help="Alias of the channel layer in CHANNEL_LAYERS (default: default).",
    )


def get_spanning_layer(alias):
    """
    Return the layer of an alias.

    Raise CommandError if there is none, or it does not span processes.
    """
    if alias not in channel_layers:
        known = ", ".join(channel_layers) or "none at all"
        raise CommandError(
            f"There is no channel layer {alias!r}: CHANNEL_LAYERS has {known}."
        )
    layer = channel_layers[alias]
    if errors := check_spans_processes(layer):
        raise CommandError(f"{errors[0].msg} {errors[0].hint}")
    return layer
