"""Every exception of django.channels, each with when it is raised."""

from django.core.exceptions import ImproperlyConfigured
from django.core.exceptions import RequestAborted as HttpRequestAborted


class ChannelsError(Exception):
    """The base of all exceptions of django.channels."""


# Configuration.


class InvalidChannelLayerError(ChannelsError, ImproperlyConfigured):
    """Raised when an entry of CHANNEL_LAYERS cannot be turned into a layer."""


class InvalidRoutingError(ChannelsError, ImproperlyConfigured):
    """Raised when a routing, or a consumer that it names, cannot be loaded."""


class InvalidLimitError(ChannelsError, ImproperlyConfigured):
    """Raised when CHANNEL_LIMITS has an unknown key or a value out of range."""


# Channel layers.


class ChannelFull(ChannelsError):
    """Raised when a message is sent to a channel that is at its capacity."""


class MessageTooLarge(ChannelsError):
    """Raised when a message is larger than the layer's limit."""


class LayerUnavailable(ChannelsError):
    """Raised when the store behind a layer cannot be reached, or fails."""


# Raised by consumers.


class ConsumeLater(ChannelsError):
    """Raised by a consumer to get the same message again, later."""


class DenyConnection(ChannelsError):
    """Raised by a consumer of websocket.connect to reject the connection."""


# Raised while a request is read or answered.


class RequestTimeout(ChannelsError):
    """Raised when the rest of a request's body does not arrive in time."""


class RequestAborted(ChannelsError, HttpRequestAborted):
    """Raised when the client goes away before its request is answered."""
