"""
Envelopes: the bytes in which a store holds a message, or a change of a group.

In: layer.py, with messages that copy_message() has made, and with what a store
returned, which anybody may have put there. Out: layer.py again. Other programs
join by specs/envelopes.rst, which has the form.
"""

from functools import lru_cache

from django.channels.backends.base import BaseChannelLayer
from django.channels.backends.values import MAX_DEPTH, MAX_INT, copy_message
from django.channels.exceptions import ChannelsError, MessageTooLarge
from django.channels.names import validate_channel, validate_group

from . import msgpack

try:
    import msgspec
except ImportError:
    msgspec = None

# What an envelope is for: a message for a channel, one for a group's members of
# the inbox, the begin and the end of a membership, and the end of everything
# that was in the inbox before.
MESSAGE, GROUP, ADD, DISCARD, FLUSH = range(5)

# The first byte of an envelope: its version, as it is and encrypted.
PLAIN = b"\x01"
ENCRYPTED = b"\x02"

# Bytes that an envelope may have for each unit of a message's size; a float, the
# smallest unit with the most bytes, has 9. And bytes for the rest of it.
BYTES_PER_SIZE = 9
BYTES_OF_REST = 1024

# The types whose values are valid as they are.
_PLAIN_TYPES = frozenset([str, bytes, bool, float, type(None)])


class EnvelopeError(ChannelsError, ValueError):
    """
    Raised when bytes from a store are not an envelope that this layer can open.

    The text says why, and has nothing of the content.
    """


class Codec:
    """
    Makes and opens envelopes; safe in every thread.

    ``keys`` are the str or bytes of an encryption: the first one closes, all of
    them open. ``pure`` keeps it to plain Python; the bytes are the same.
    """

    def __init__(self, keys=None, limit=BaseChannelLayer.max_message_size, pure=False):
        self.limit = limit
        self.max_length = BYTES_PER_SIZE * limit + BYTES_OF_REST
        self._box = None
        if keys is not None:
            from .encryption import Box

            self._box = Box(ENCRYPTED, keys)
        # What is raised for a body that is not well-formed.
        self._unpack_errors = (ValueError, RecursionError)
        if msgspec is None or pure:
            self._pack, self._unpack = msgpack.pack, _unpack
        else:
            # Before msgspec 0.22, its own are no ValueErrors, and a map that is a
            # key is a TypeError.
            self._unpack_errors += (msgspec.MsgspecError, TypeError)
            self._pack = msgspec.msgpack.Encoder().encode
            form = tuple[int, str, dict[str, object]]
            self._unpack = msgspec.msgpack.Decoder(form).decode

    def encode(self, kind, target, message):
        """
        Return the envelope of a message that copy_message() has made.

        ``target`` is the full name of the channel for MESSAGE, or "" if the queue
        is the channel, and the group for GROUP, ADD and DISCARD. The message of
        ADD and DISCARD is {"channel": name}; FLUSH has "" and {}. Raise
        MessageTooLarge if the envelope is longer than ``max_length``.
        """
        body = self._pack((kind, target, message))
        if len(body) >= self.max_length:
            raise MessageTooLarge(
                f"The message has {len(body)} bytes; fewer than {self.max_length} are "
                "allowed."
            )
        return PLAIN + body if self._box is None else self._box.close(body)

    def decode(self, payload, queue=None):
        """
        Return (kind, target, message) of an envelope.

        Raise EnvelopeError for everything that encode() does not make with one
        of these keys, wherever it comes from; and with a ``queue``, for what does
        not belong there.
        """
        if self._box is None:
            if payload[:1] != PLAIN:
                raise EnvelopeError(_explain_version(payload))
            body = payload[1:]
        else:
            try:
                body = self._box.open(payload)
            except ValueError as error:
                raise EnvelopeError(f"The envelope {error}.") from None
        if len(body) >= self.max_length:
            raise EnvelopeError(f"The envelope has {len(body)} bytes, too many.")
        try:
            kind, target, message = self._unpack(body)
        except self._unpack_errors:
            # Nothing of the cause: it shows the content.
            raise EnvelopeError("The envelope is not well-formed.") from None
        _check_values(message)
        _CHECKS.get(kind, _check_unknown)(target, message)
        if len(body) > self.limit:
            try:
                copy_message(message, self.limit)
            except MessageTooLarge:
                raise EnvelopeError(
                    "The envelope has a message that is too large."
                ) from None
        if queue is not None:
            _check_place(queue, kind, target, message)
        return kind, target, message


def _explain_version(payload):
    if not payload:
        return "The envelope is empty."
    if payload[:1] == ENCRYPTED:
        return "The envelope is encrypted, and this layer has no keys."
    return f"The envelope begins with the byte {payload[0]:#04x}, which is no version."


def _unpack(body):
    """Return what a body holds, by plain Python, or raise ValueError."""
    value = msgpack.unpack(body, MAX_DEPTH + 1)
    if type(value) is not list or list(map(type, value)) != [int, str, dict]:
        raise ValueError("it is no array of an int, a str and a map")
    return value


# What is wrong with a message, whichever codec has unpacked it.


def _check_values(message):
    for item in message.values():
        if type(item) not in _PLAIN_TYPES:
            _check_value(item, 1)


def _check_value(item, depth):
    kind = type(item)
    if kind in _PLAIN_TYPES or kind is int and item <= MAX_INT:
        return
    if kind is not list and kind is not dict:
        raise EnvelopeError("The envelope has a value of a type that none may have.")
    if depth >= MAX_DEPTH:
        raise EnvelopeError("The envelope is nested too deep.")
    if kind is dict:
        for key in item:
            if type(key) is not str:
                raise EnvelopeError("The envelope has a key that is no str.")
        item = item.values()
    for part in item:
        if type(part) not in _PLAIN_TYPES:
            _check_value(part, depth + 1)


# What is wrong with a target, by kind. Most names come more than once.

_is_channel = lru_cache(maxsize=4096)(lambda name: _is_valid(validate_channel, name))
_is_group = lru_cache(maxsize=4096)(lambda name: _is_valid(validate_group, name))


def _is_valid(validate, name):
    try:
        validate(name)
    except TypeError:
        return False
    return True


def _check_message(target, message):
    if target and not _is_channel(target):
        raise EnvelopeError("The envelope is for a channel with an invalid name.")


def _check_group(target, message):
    if not _is_group(target):
        raise EnvelopeError("The envelope is for a group with an invalid name.")


def _check_control(target, message):
    _check_group(target, message)
    channel = message.get("channel")
    if len(message) != 1 or type(channel) is not str or "!" not in channel:
        raise EnvelopeError("The envelope does not change a membership.")
    _check_message(channel, message)


def _check_flush(target, message):
    if target or message:
        raise EnvelopeError("The envelope flushes, and says more than that.")


def _check_unknown(target, message):
    raise EnvelopeError("The envelope is of an unknown kind.")


def _check_place(queue, kind, target, message):
    if not queue.endswith("!"):
        if kind > GROUP or kind == MESSAGE and target:
            raise EnvelopeError("The envelope is one for an inbox.")
    elif kind == MESSAGE or kind in (ADD, DISCARD):
        channel = target if kind == MESSAGE else message["channel"]
        # The inbox ends in "!", and so it is all of the name up to there.
        if not channel.startswith(queue):
            raise EnvelopeError("The envelope is for another inbox.")


_CHECKS = {
    MESSAGE: _check_message,
    GROUP: _check_group,
    ADD: _check_control,
    DISCARD: _check_control,
    FLUSH: _check_flush,
}
