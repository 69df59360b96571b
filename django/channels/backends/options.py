"""
The checks of what a layer is given: options when it is made, arguments later.

Bad options raise InvalidChannelLayerError, bad arguments TypeError; each text
names the value and what is allowed.
"""

import fnmatch
import re
import threading
from collections.abc import Iterable

from django.channels.exceptions import InvalidChannelLayerError, MessageTooLarge
from django.channels.names import queue_of, validate_channel, validate_receivable

from .values import copy_message

# In seconds: no lock waits longer.
MAX_TIMEOUT = threading.TIMEOUT_MAX
# The inboxes of interface servers: all connections of a process share one, which
# holds so many times as much as another channel.
SERVER_INBOXES = re.compile(r"interface\.reply\.")
SERVER_FACTOR = 100


def _is_number(value, *types):
    return isinstance(value, types) and not isinstance(value, bool)


def check_seconds(option, value):
    """Return ``value`` if it is a number of seconds above 0."""
    if not _is_number(value, int, float) or not 0 < value <= MAX_TIMEOUT:
        raise InvalidChannelLayerError(
            f"{option} must be a number of seconds above 0 and at most "
            f"{MAX_TIMEOUT:.0f}, not {value!r}."
        )
    return value


def check_capacity(option, value):
    """Return ``value`` if it is a number of messages of at least 1."""
    if not _is_number(value, int) or value < 1:
        raise InvalidChannelLayerError(
            f"{option} must be an int of at least 1, not {value!r}."
        )
    return value


def compile_capacities(capacities, capacity):
    """
    Return [(compiled regex, capacity), …] for the option channel_capacity.

    What interface servers receive comes last, by the option ``capacity``.
    """
    capacities = {} if capacities is None else capacities
    if not isinstance(capacities, dict):
        raise InvalidChannelLayerError(
            "channel_capacity must be a dict of globs or compiled regular "
            f"expressions to ints, not {capacities!r}."
        )
    compiled = []
    for pattern, its_capacity in capacities.items():
        check_capacity(f"channel_capacity[{pattern!r}]", its_capacity)
        if isinstance(pattern, str):
            pattern = re.compile(fnmatch.translate(pattern))
        elif not isinstance(pattern, re.Pattern) or not isinstance(
            pattern.pattern, str
        ):
            raise InvalidChannelLayerError(
                "A key of channel_capacity must be a glob or a compiled regular "
                f"expression for str, not {pattern!r}."
            )
        compiled.append((pattern, its_capacity))
    compiled.append((SERVER_INBOXES, capacity * SERVER_FACTOR))
    return compiled


class LayerOptions:
    """The options that every channel layer has, checked."""

    def __init__(self, expiry, group_expiry, capacity, channel_capacity):
        # Seconds until a message is dropped.
        self.expiry = check_seconds("expiry", expiry)
        # Seconds until a normal or single-reader channel falls out of a group.
        self.group_expiry = check_seconds("group_expiry", group_expiry)
        # Messages that a channel or an inbox holds.
        self.capacity = check_capacity("capacity", capacity)
        self.channel_capacity = compile_capacities(channel_capacity, capacity)

    def get_capacity(self, channel):
        """
        Return how many messages a channel holds.

        The first pattern of channel_capacity that matches counts, otherwise
        ``capacity``. A process-specific channel has the capacity of its inbox.
        """
        name = queue_of(channel)
        for pattern, capacity in self.channel_capacity:
            if pattern.match(name):
                return capacity
        return self.capacity


def check_channels(channels):
    """Return the names to receive from as a tuple, each of them once."""
    if isinstance(channels, (str, bytes)) or not isinstance(channels, Iterable):
        raise TypeError(f"channels must be a list of channel names, not {channels!r}.")
    names = tuple(dict.fromkeys(map(validate_receivable, channels)))
    if not names:
        raise TypeError("channels must name at least one channel.")
    return names


def check_wait(block, timeout):
    """Raise TypeError for a timeout that is out of range, or without a wait."""
    if timeout is None:
        return
    if not block:
        raise TypeError(f"timeout={timeout!r} needs block=True: nothing waits.")
    if not _is_number(timeout, int, float) or not 0 <= timeout <= MAX_TIMEOUT:
        raise TypeError(
            "timeout must be None or a number of seconds from 0 to "
            f"{MAX_TIMEOUT:.0f}, not {timeout!r}."
        )


def check_limit(limit, name="limit"):
    """Raise TypeError if ``limit`` is not a number of messages of at least 1."""
    if not _is_number(limit, int) or limit < 1:
        raise TypeError(f"{name} must be an int of at least 1, not {limit!r}.")


def check_batch(messages, max_message_size):
    """
    Return [(channel, copied message or MessageTooLarge), …] for a batch.

    Raise TypeError for anything else that is wrong with one of them.
    """
    if isinstance(messages, (str, bytes, dict)) or not isinstance(messages, Iterable):
        raise TypeError(
            f"A batch must be a list of (channel, message) pairs, not {messages!r}."
        )
    checked = []
    for index, item in enumerate(messages):
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise TypeError(
                f"Item {index} of the batch must be a (channel, message) pair, not "
                f"{item!r}."
            )
        channel, message = item
        try:
            channel = validate_channel(channel)
            message = copy_message(message, max_message_size)
        except TypeError as error:
            raise TypeError(f"Item {index} of the batch: {error}") from error
        except MessageTooLarge as error:
            message = error
        checked.append((channel, message))
    return checked
