"""
What is in a message on asgi.delay, and how its content is kept as text.

In: messages, from worker.py. Out: (channel, delay, content); text for models.py.

The text is JSON in ASCII. It has ``{"$bytes": "<base64>"}`` for bytes, and one
more ``$`` before every key that begins with one.
"""

import base64
import json
import reprlib

from django.channels.names import validate_channel

DELAY_CHANNEL = "asgi.delay"

# The longest delay, in milliseconds: ten years.
MAX_DELAY_MS = 10 * 365 * 86400 * 1000

# The key of the dict that stands for bytes.
BYTES_KEY = "$bytes"

_KEYS = {"type", "channel", "delay", "content"}


def parse(message):
    """
    Return (channel, delay in milliseconds, content) of a message's dict.

    Raise ValueError, which says what is wrong and quotes no content.
    """
    if unknown := set(message) - _KEYS:
        raise ValueError(f"it has unknown keys: {', '.join(sorted(unknown))}")
    if missing := _KEYS - {"type"} - set(message):
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    if message.get("type", DELAY_CHANNEL) != DELAY_CHANNEL:
        raise ValueError(f"its type is {reprlib.repr(message['type'])}")
    try:
        channel = validate_channel(message["channel"])
    except TypeError as error:
        raise ValueError(f"its channel is wrong: {error}") from error
    delay = message["delay"]
    if type(delay) is not int or not 0 < delay <= MAX_DELAY_MS:
        raise ValueError(
            f"its delay is {reprlib.repr(delay)}; it must be an int of 1 to "
            f"{MAX_DELAY_MS} milliseconds"
        )
    if not isinstance(message["content"], dict):
        kind = type(message["content"]).__name__
        raise ValueError(f"its content is of type {kind}; it must be a dict")
    return channel, delay, message["content"]


def encode(content):
    """Return the text for a dict of what messages may hold."""
    return json.dumps(_to_json(content), separators=(",", ":"))


def decode(text):
    """
    Return the dict for a text of encode().

    Raise ValueError for any other text.
    """
    try:
        content = _from_json(json.loads(text))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError(f"it is of type {type(content).__name__}, not a dict")
    return content


def _to_json(value):
    if isinstance(value, dict):
        return {_escape(key): _to_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if isinstance(value, bytes):
        return {BYTES_KEY: base64.b64encode(value).decode()}
    return value


def _from_json(value):
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if BYTES_KEY in value:
        return _read_bytes(value)
    return {_unescape(key): _from_json(item) for key, item in value.items()}


def _read_bytes(value):
    text = value[BYTES_KEY]
    if len(value) > 1 or not isinstance(text, str):
        raise ValueError(f"{BYTES_KEY} must stand alone, with a text")
    return base64.b64decode(text, validate=True)


def _escape(key):
    return f"${key}" if key.startswith("$") else key


def _unescape(key):
    if not key.startswith("$"):
        return key
    if not key.startswith("$$"):
        raise ValueError("a key begins with a single $")
    return key[1:]
