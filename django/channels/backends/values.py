"""
The values that a message may hold, and how a layer makes a copy its own.

A layer calls copy_message() on everything it is given, before it takes a lock or
writes to a store: one pass validates, copies and measures.
See specs/channel-layers.rst, section "Values".
"""

from ..exceptions import MessageTooLarge

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
    """The measured part of a message is already larger than the limit."""


def copy_message(message, limit):
    """
    Return a deep copy of ``message``, made of plain types only.

    Raise TypeError for what a message cannot hold, and MessageTooLarge if its
    size is over ``limit``.
    """
    if type(message) is not dict and not issubclass(type(message), dict):
        raise TypeError(
            f"A message must be a dict, not {message!r} of type "
            f"{type(message).__name__}."
        )
    try:
        return _copy_dict(message, 1, limit)[0]
    except _Refused as refused:
        path = "".join(f"[{key!r}]" for key in reversed(refused.path))
        problem = refused.problem
    except _Exceeded as exceeded:
        raise MessageTooLarge(
            f"The message has a size of at least {exceeded.args[0]}; at most {limit} "
            "is allowed."
        ) from None
    raise TypeError(f"message{path} {problem}")


def _copy_dict(value, depth, limit):
    """Return a copy and its size: 1, and those of all keys and values."""
    copy = {}
    size = 1
    for key, item in value.items():
        if type(key) is not str:
            key = _plain_key(key)
        if not key.isascii():
            _check_text(key, "has a key that")
        size += len(key)
        # The common types first and in line: this is the path of every message.
        kind = type(item)
        if kind is str:
            if not item.isascii():
                _check_item(item, key)
            size += len(item)
        elif kind is bytes:
            size += len(item)
        elif kind is int and MIN_INT <= item <= MAX_INT or kind in _CONSTANTS:
            size += 1
        else:
            item, item_size = _copy_item(item, key, depth, limit - size)
            size += item_size
        copy[key] = item
        if size > limit:
            raise _Exceeded(size)
    return copy, size


def _copy_list(value, depth, limit):
    """Return a copy and its size: 1, and those of all items."""
    copy = []
    size = 1
    for index, item in enumerate(value):
        kind = type(item)
        if kind is bytes:
            size += len(item)
        else:
            item, item_size = _copy_item(item, index, depth, limit - size)
            size += item_size
        copy.append(item)
        if size > limit:
            raise _Exceeded(size)
    return copy, size


def _copy_item(item, key, depth, limit):
    """Return a copy of what stands under ``key``, and its size."""
    try:
        return _copy_value(item, depth, limit)
    except _Refused as refused:
        refused.path.append(key)
        raise
    except _Exceeded as exceeded:
        # What the caller has measured so far is not in ``limit`` any more.
        raise _Exceeded(exceeded.args[0]) from None


def _copy_value(value, depth, limit):
    kind = type(value)
    if kind in _CONSTANTS:
        return value, 1
    if issubclass(kind, str):
        # A subclass (SafeString, TextChoices) arrives as the text it is.
        value = str.__str__(value)
        _check_text(value, "is a str that")
        return value, len(value)
    if issubclass(kind, int):
        value = int.__int__(value)
        if not MIN_INT <= value <= MAX_INT:
            raise _Refused(
                f"is {value!r}, which is not within the 64 bits of an integer: "
                f"{MIN_INT} to {MAX_INT}."
            )
        return value, 1
    if issubclass(kind, bytes):
        value = b"".join((value,))
        return value, len(value)
    if issubclass(kind, float):
        return float.__float__(value), 1
    if not issubclass(kind, (dict, list)):
        raise _Refused(
            f"is {value!r} of type {kind.__name__}; allowed are {ALLOWED}."
        )
    if depth >= MAX_DEPTH:
        raise _Refused(
            f"lies {depth + 1} levels deep; dicts and lists may be nested "
            f"{MAX_DEPTH} levels deep."
        )
    copy = _copy_dict if issubclass(kind, dict) else _copy_list
    return copy(value, depth + 1, limit)


def _plain_key(key):
    if not issubclass(type(key), str):
        raise _Refused(
            f"has the key {key!r} of type {type(key).__name__}; keys must be str."
        )
    return str.__str__(key)


def _check_item(text, key):
    try:
        _check_text(text, "is a str that")
    except _Refused as refused:
        refused.path.append(key)
        raise


def _check_text(text, subject):
    # Half a surrogate pair has no encoding: no other process could read it.
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _Refused(
            f"{subject} has a lone surrogate, {text[error.start]!r}, at "
            f"position {error.start}."
        ) from None


def is_flat(message):
    """Return whether a copied message holds no list and no dict."""
    return not any(type(item) in (dict, list) for item in message.values())


def duplicate(value):
    """Return a deep copy of a value that copy_message() has made."""
    kind = type(value)
    if kind is dict:
        return {
            key: duplicate(item) if type(item) in (dict, list) else item
            for key, item in value.items()
        }
    if kind is list:
        return [
            duplicate(item) if type(item) in (dict, list) else item for item in value
        ]
    return value
