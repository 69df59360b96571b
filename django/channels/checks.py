"""System checks of CHANNEL_LAYERS, their routings, and CHANNEL_LIMITS."""

from django.channels import revocation  # NOQA: F401 connects its receivers
from django.channels.exceptions import ChannelsError, LayerUnavailable
from django.channels.layers import channel_layers
from django.channels.limits import limit_error
from django.channels.needs_checks import check_needs
from django.channels.reachability import find_hidden, find_unsent
from django.conf import settings
from django.core.checks import Error, Warning, register
from django.core.checks.urls import check_resolver
from django.core.exceptions import ImproperlyConfigured

# The tag with which `manage.py check --tag channels` selects these checks.
TAG = "channels"


@register(TAG)
def check_layers(app_configs=None, **kwargs):
    """
    Check that every layer can be built and its routing be loaded.

    No store is asked: this runs with every command.
    """
    if not isinstance(settings.CHANNEL_LAYERS, dict):
        return [
            Error(
                f"CHANNEL_LAYERS must be a dict of aliases, not "
                f"{settings.CHANNEL_LAYERS!r}.",
                id="channels.E001",
            )
        ]
    return [error for alias in channel_layers for error in _check_layer(alias)]


def _check_layer(alias):
    try:
        layer = channel_layers.make_backend(alias)
    except ChannelsError as error:
        return [Error(str(error), id="channels.E001")]
    try:
        router = layer.router
    except (ChannelsError, ImproperlyConfigured, TypeError, ValueError) as error:
        return [
            Error(
                f"The ROUTING of CHANNEL_LAYERS[{alias!r}] cannot be loaded: {error}",
                id="channels.E002",
            )
        ]
    return [*layer.check(), *_check_routes(alias, router), *check_needs(layer)]


def _check_routes(alias, router):
    """Return what is wrong with the entries of a routing that can be loaded."""
    messages = []
    for pattern in router.urlconf.urlpatterns:
        messages += check_resolver(pattern)
    for route, channels, earlier in find_hidden(router.project_routes):
        messages.append(
            Warning(
                f"{str(route)!r} in the ROUTING of CHANNEL_LAYERS[{alias!r}] never "
                f"gets a message on {', '.join(channels)}: {str(earlier)!r} before it "
                f"takes all of them.",
                hint="Put what is more special first, or remove one of the two.",
                id="channels.W006",
            )
        )
    for route, channel, sent in find_unsent(router.project_routes):
        messages.append(
            Warning(
                f"{str(route)!r} in the ROUTING of CHANNEL_LAYERS[{alias!r}] takes "
                f"messages on {channel}, and no server sends any: they are sent on "
                f"{', '.join(sent)}.",
                hint="Correct the name, or do not begin yours with a protocol's.",
                id="channels.W011",
            )
        )
    return messages


@register(TAG, deploy=True)
def check_stores(app_configs=None, **kwargs):
    """Check that every layer is reachable and its store has good settings."""
    aliases = channel_layers if isinstance(settings.CHANNEL_LAYERS, dict) else ()
    return [error for alias in aliases for error in _check_store(alias)]


def _check_store(alias):
    try:
        # Not the one in use: it stays as it is.
        layer = channel_layers.make_backend(alias)
    except ChannelsError:
        # See check_layers().
        return []
    known = layer.check()
    try:
        return [error for error in layer.check(reach=True) if error not in known]
    except LayerUnavailable as error:
        return [
            Error(
                f"Channel layer {layer} cannot be reached: {error}",
                hint=f"Start its store, or correct CHANNEL_LAYERS[{alias!r}].",
                id="channels.E005",
            )
        ]
    finally:
        layer.close()


@register(TAG)
def check_limits(app_configs=None, **kwargs):
    """Check the names and values in CHANNEL_LIMITS."""
    if not isinstance(settings.CHANNEL_LIMITS, dict):
        return [
            Error(
                f"CHANNEL_LIMITS must be a dict, not {settings.CHANNEL_LIMITS!r}.",
                id="channels.E003",
            )
        ]
    errors = [limit_error(*item) for item in settings.CHANNEL_LIMITS.items()]
    return [Error(error, id="channels.E003") for error in errors if error]


def check_spans_processes(layer):
    """
    Check that workers in another process can reach a layer.

    Not registered: runworker asks, and runserver with --noworker.
    """
    if not layer.local_only():
        return []
    return [
        Error(
            f"Channel layer {layer} does not span processes: a worker in another "
            f"process receives nothing from it.",
            hint=(
                "Configure a layer that spans processes, or let the server run the "
                "consumers: runserver does."
            ),
            id="channels.E004",
        )
    ]
