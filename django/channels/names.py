"""
The names of channels and groups: what is legal, and what a name tells.

A normal channel is a plain name. A ``?`` marks a single-reader channel and a
``!`` a process-specific one, whose part up to the ``!`` is the inbox of the
process that reads it. See specs/channel-layers.rst, section "Names".
"""

import re
import secrets
from functools import lru_cache

# Names are shorter than this many characters.
MAX_NAME_LENGTH = 100
# Bytes of chance in the names that a layer makes, two characters each.
RANDOM_BYTES = 12

_WORD = r"[a-zA-Z0-9\-_.]+"
_group_re = re.compile(rf"{_WORD}\Z")
_channel_re = re.compile(rf"{_WORD}([?!]{_WORD})?\Z")
_receivable_re = re.compile(rf"{_WORD}(\?{_WORD}|!)?\Z")
_pattern_re = re.compile(rf"{_WORD}[?!]\Z")


def _validate(name, regex, what, shape):
    if not isinstance(name, str):
        raise TypeError(
            f"{what} must be a str, not {name!r} of type {type(name).__name__}."
        )
    if not regex.match(name):
        raise TypeError(
            f"{name!r} is not a valid {what}: it must consist of ASCII letters, "
            f"digits, hyphens, underscores and periods{shape}."
        )
    if len(name) >= MAX_NAME_LENGTH:
        raise TypeError(
            f"{name!r} is not a valid {what}: it has {len(name)} characters, and "
            f"must have fewer than {MAX_NAME_LENGTH}."
        )
    # Not str(name): that of an enum is the name of its member.
    return str.__str__(name)


def validate_channel(name):
    """
    Return ``name`` if messages can be sent to it; raise TypeError if not.
    """
    # Only what is hashable can be looked up among the names seen before.
    check = _validate_channel_once if isinstance(name, str) else _validate_channel
    return check(name)


def _validate_channel(name):
    shape = ", with at most one ? or ! between two parts"
    return _validate(name, _channel_re, "channel name", shape)


_validate_channel_once = lru_cache(maxsize=4096)(_validate_channel)


def validate_receivable(name):
    """
    Return ``name`` if messages can be received from it; raise TypeError if not.

    Process-specific channels are received by their inbox, which ends in ``!``.
    """
    shape = ", with at most one ? between two parts, or a ! at the end"
    return _validate(name, _receivable_re, "name of a channel to receive from", shape)


def validate_group(name):
    """Return ``name`` if it can name a group; raise TypeError if not."""
    return _validate(name, _group_re, "group name", "")


def validate_pattern(pattern):
    """
    Return ``pattern`` if new_channel() accepts it; raise TypeError if not.
    """
    return _validate(pattern, _pattern_re, "channel pattern", ", and end in ? or !")


def new_name(pattern):
    """
    Return a fresh, unguessable name for a pattern that ends in ``?`` or ``!``.
    """
    validate_pattern(pattern)
    return validate_channel(pattern + secrets.token_hex(RANDOM_BYTES))


def inbox_of(name):
    """
    Return the inbox (``prefix!``) of a process-specific name, otherwise None.
    """
    prefix, mark, _ = name.partition("!")
    return prefix + mark if mark else None


def queue_of(name):
    """
    Return what capacity and order belong to: the inbox, or the name itself.
    """
    return inbox_of(name) or name
