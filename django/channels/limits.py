"""
The limits that CHANNEL_LIMITS sets, with their units and defaults.

The documented table is docs/ref/channels/settings.txt.
"""

from functools import lru_cache

from django.channels.exceptions import InvalidLimitError
from django.conf import settings
from django.core.signals import setting_changed

# What a limit of None means is "no limit".
DEFAULT_LIMITS = {
    # Bytes of all header names and values of a request together; 431 above.
    "HTTP_HEADER_BYTES": 64 * 1024,
    # Bytes of a request's body; 413 above.
    "HTTP_BODY_BYTES": 1024 * 1024 * 1024,
    # Seconds for which the channel of requests stays full while some wait; 503 after.
    "HTTP_QUEUE_SECONDS": 0.5,
    # Seconds until the first part of a response, from the last progress of the
    # request's body on; 503 after, or 408 if it is the body that does not come.
    "HTTP_RESPONSE_SECONDS": 60,
    # Seconds for which a channel of sockets' messages stays full while some wait;
    # refused, or closed with 1013, after.
    "WEBSOCKET_QUEUE_SECONDS": 0.5,
    # Seconds until a consumer accepts a socket; refused after.
    "WEBSOCKET_HANDSHAKE_SECONDS": 5,
    # Bytes of a message on a socket, of all its frames; closed with 1009 above.
    "WEBSOCKET_MESSAGE_BYTES": 1024 * 1024,
    # Bytes of one frame. The ASGI server enforces it; runserver tells Daphne.
    "WEBSOCKET_FRAME_BYTES": 1024 * 1024,
    # Messages a socket may send in a second; closed with 1008 above.
    "WEBSOCKET_MESSAGES_PER_SECOND": 1000,
    # Messages of a socket that wait, in each direction; closed with 1013 above.
    "WEBSOCKET_PENDING_MESSAGES": 1000,
    # Seconds until a message of an ordered socket that nobody reports on counts as
    # lost; the next one is sent after.
    "WEBSOCKET_ORDER_SECONDS": 60,
    # Whether the Origin of a handshake must be one of ours; refused if not.
    "WEBSOCKET_CHECK_ORIGIN": True,
}


def limit_error(name, value):
    """Return what is wrong with a limit as a sentence, or None."""
    if name not in DEFAULT_LIMITS:
        allowed = ", ".join(DEFAULT_LIMITS)
        return f"CHANNEL_LIMITS has no {name!r}; it knows {allowed}."
    if isinstance(DEFAULT_LIMITS[name], bool):
        if not isinstance(value, bool):
            return f"CHANNEL_LIMITS[{name!r}] must be True or False, not {value!r}."
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is not None and not (is_number and value > 0):
        return (
            f"CHANNEL_LIMITS[{name!r}] must be a number above 0, or None for no "
            f"limit, not {value!r}."
        )
    return None


@lru_cache(maxsize=1)
def _configured_limits():
    for name, value in settings.CHANNEL_LIMITS.items():
        if error := limit_error(name, value):
            raise InvalidLimitError(error)
    return {**DEFAULT_LIMITS, **settings.CHANNEL_LIMITS}


def get_limits(**overrides):
    """
    Return a dict of every limit: defaults, CHANNEL_LIMITS, then ``overrides``.

    Raise InvalidLimitError for a name that is unknown or a value out of range.
    """
    for name, value in overrides.items():
        if error := limit_error(name, value):
            raise InvalidLimitError(error)
    return {**_configured_limits(), **overrides}


def _forget_limits(*, setting, **kwargs):
    if setting == "CHANNEL_LIMITS":
        _configured_limits.cache_clear()


setting_changed.connect(_forget_limits)
