"""
The values that a message may hold, and how a layer makes a copy its own.

A layer calls copy_message() on everything it is given, before it takes a lock or
writes to a store: one pass validates, copies and measures.
See specs/channel-layers.rst, section "Values".
"""

import reprlib

from django.channels.exceptions import MessageTooLarge

# How many dicts and lists may lie within each other, the message included.
MAX_DEPTH = 32

MIN_INT = -(2**63)
MAX_INT = 2**63 - 1

ALLOWED = "bytes, str, int (64 bits), float, list, dict with str keys, bool and None"

# The types whose values are used as they are, at a size of 1.
_CONSTANTS = frozenset([bool, float, type(None)])


class _Refused(Exception):
    """A value that no message may hold; the path grows on the way out."""

    def __init__(self, problem):
        self.problem = problem
        self.path = []


class _Exceeded(Exception):
    """What has been measured of a message is already over the limit."""

    def __init__(self, size):
        self.size = size


def copy_message(message, limit):
    """
    Return a deep copy of ``message``, made of plain types only.

    Raise TypeError for what a message cannot hold, and MessageTooLarge if its
    size is over ``limit``.
    """
    if not issubclass(type(message), dict):
        raise TypeError(
            f"A message must be a dict, not {_show(message)} of type "
            f"{type(message).__name__}."
        )
    try:
        return _copy_dict(message, 1, 0, limit)[0]
    except _Refused as refused:
        path = "".join(f"[{key!r}]" for key in reversed(refused.path))
        problem = refused.problem
    except _Exceeded as exceeded:
        raise MessageTooLarge(
            f"The message has a size of at least {exceeded.size}; at most {limit} is "
            "allowed."
        ) from None
    raise TypeError(f"message{path} {problem}")


def _copy_dict(value, depth, size, limit):
    """Return a copy, and ``size`` grown by 1, the keys and the values."""
    copy = {}
    size += 1
    for key, item in value.items():
        if type(key) is not str or not key.isascii():
            key = _copy_key(key)
        size += len(key)
        # The common types first and in line: this is the path of every message.
        kind = type(item)
        if kind is bytes or kind is str and item.isascii():
            size += len(item)
        elif kind is int and MIN_INT <= item <= MAX_INT or kind in _CONSTANTS:
            size += 1
        else:
            item, size = _copy_item(item, key, depth, size, limit)
        if size > limit:
            raise _Exceeded(size)
        copy[key] = item
    return copy, size


def _copy_list(value, depth, size, limit):
    """Return a copy, and ``size`` grown by 1 and the items."""
    copy = []
    size += 1
    for index, item in enumerate(value):
        if type(item) is bytes:
            size += len(item)
        else:
            item, size = _copy_item(item, index, depth, size, limit)
        if size > limit:
            raise _Exceeded(size)
        copy.append(item)
    return copy, size


def _copy_item(item, key, depth, size, limit):
    try:
        return _copy_value(item, depth, size, limit)
    except _Refused as refused:
        refused.path.append(key)
        raise


def _copy_value(value, depth, size, limit):
    """Return a copy of any one value, and ``size`` grown by it."""
    kind = type(value)
    if kind in _CONSTANTS:
        return value, size + 1
    if issubclass(kind, (dict, list)):
        if depth >= MAX_DEPTH:
            raise _Refused(
                f"lies {depth + 1} levels deep; dicts and lists may be nested "
                f"{MAX_DEPTH} levels deep."
            )
        copy = _copy_dict if issubclass(kind, dict) else _copy_list
        return copy(value, depth + 1, size, limit)
    # An instance of a subclass (SafeString, IntEnum) arrives as the plain type.
    if issubclass(kind, str):
        value = _plain_text(value, "is a str that")
        return value, size + len(value)
    if issubclass(kind, bytes):
        value = b"".join((value,))
        return value, size + len(value)
    if issubclass(kind, float):
        return float.__float__(value), size + 1
    if not issubclass(kind, int):
        raise _Refused(
            f"is {_show(value)} of type {kind.__name__}; allowed are {ALLOWED}."
        )
    value = int.__int__(value)
    if not MIN_INT <= value <= MAX_INT:
        raise _Refused(
            f"is {_show(value)}, which does not fit into 64 bits: allowed are "
            f"{MIN_INT} to {MAX_INT}."
        )
    return value, size + 1


def _copy_key(key):
    if not issubclass(type(key), str):
        raise _Refused(
            f"has the key {_show(key)} of type {type(key).__name__}; keys must be str."
        )
    return _plain_text(key, "has a key that")


def _plain_text(text, subject):
    text = str.__str__(text)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # Half a surrogate pair has no encoding: no other process could read it.
        raise _Refused(
            f"{subject} has a lone surrogate, {text[error.start]!r}, at position "
            f"{error.start}."
        ) from None
    return text


def _show(value):
    try:
        return reprlib.repr(value)
    except Exception:
        # Python refuses to print integers of thousands of digits, for one.
        return f"<{type(value).__name__}>"


def is_flat(message):
    """Return whether a copied message holds no list and no dict."""
    return not any(type(item) in (dict, list) for item in message.values())


def duplicate(value):
    """Return a deep copy of a dict or list that copy_message() has made."""
    if type(value) is list:
        return [
            duplicate(item) if type(item) in (dict, list) else item for item in value
        ]
    return {
        key: duplicate(item) if type(item) in (dict, list) else item
        for key, item in value.items()
    }
