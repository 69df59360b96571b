"""Every exception of django.channels, each with when it is raised."""

import logging

from django.core.exceptions import ImproperlyConfigured
from django.core.exceptions import RequestAborted as HttpRequestAborted

logger = logging.getLogger("django.channels.worker")


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


class ChannelSocketException(ChannelsError):
    """Raised by a consumer to act on its connection, instead of what it sent."""

    def run(self, message):
        """
        Act on the connection of a message, by sending to its reply channel.

        Called by whoever ran the consumer. Raise ValueError, which says why, if
        this message allows no such action.
        """
        raise NotImplementedError(f"{type(self).__name__} has no run().")


class DenyConnection(ChannelSocketException):
    """Raised by a consumer of websocket.connect to reject the connection."""

    def run(self, message):
        if message.channel.name != "websocket.connect":
            raise ValueError(
                f"DenyConnection was raised on {message.channel}: only a consumer of "
                f"websocket.connect can deny a connection. Once it is there, raise "
                f"WebsocketCloseException."
            )
        _require_reply_channel(self, message)
        if str(self):
            logger.warning("Denied a socket: %s", self)
        message.reply_channel.send({"accept": False})


class WebsocketCloseException(ChannelSocketException):
    """
    Raised by a consumer to close the socket of its message.

    ``code`` is the close code: None stands for 1000, and 1000 and 3000 to 4999
    are what an application may send. Raise ValueError for another.
    """

    def __init__(self, code=None):
        if code is not None and not is_application_code(code):
            raise ValueError(
                f"A close code must be None, 1000, or 3000 to 4999, not {code!r}."
            )
        super().__init__(*(() if code is None else (code,)))
        self.code = code

    def run(self, message):
        if not message.channel.name.startswith("websocket."):
            raise ValueError(
                f"WebsocketCloseException was raised on {message.channel}: only a "
                f"consumer of websocket.connect, websocket.receive or another "
                f"websocket channel can close the socket."
            )
        _require_reply_channel(self, message)
        message.reply_channel.send({"close": self.code or True})


class SendNotAvailableOnDemultiplexer(ChannelsError):
    """Raised when a demultiplexer sends itself, as only its streams can."""


# Raised by views.


class ResponseLater(ChannelSocketException):
    """Raised by a view run from http.request whose answer somebody else sends."""

    def run(self, message):
        raise ValueError(
            f"ResponseLater was raised on {message.channel}: only a view that runs "
            f"from http.request can put its response off. A consumer just returns."
        )


# Raised while a request is read or answered.


class RequestTimeout(ChannelsError):
    """Raised when the rest of a request's body does not arrive in time."""


class RequestAborted(ChannelsError, HttpRequestAborted):
    """Raised when the client goes away before its request is answered."""


def is_application_code(code):
    """Return whether ``code`` is a close code that an application may send."""
    return type(code) is int and (code == 1000 or 3000 <= code <= 4999)


def _require_reply_channel(error, message):
    if message.reply_channel is None:
        raise ValueError(
            f"{type(error).__name__} was raised on {message.channel}, for a message "
            f"without a reply channel."
        )
