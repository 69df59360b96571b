"""
What may go through a socket: sizes, rates, replies and close codes.

Used by websocket.py; specs/protocols/websocket.rst has the tables.
"""

import time

# Close codes, RFC 6455 section 7.4.1.
NORMAL = 1000
ABNORMAL = 1006
INVALID_PAYLOAD = 1007
POLICY_VIOLATION = 1008
TOO_BIG = 1009
TRY_AGAIN_LATER = 1013

_REPLY_KEYS = {"type", "accept", "subprotocol", "text", "bytes", "close"}


class Rate:
    """Allows so many messages in a second, and as many at once."""

    def __init__(self, per_second):
        self._per_second = per_second
        self._allowed = per_second
        self._seen = time.monotonic()

    def allows(self):
        """Return whether one more message is allowed now, and count it."""
        if self._per_second is None:
            return True
        now = time.monotonic()
        self._allowed += (now - self._seen) * self._per_second
        self._allowed = min(self._allowed, self._per_second)
        self._seen = now
        self._allowed -= 1
        return self._allowed >= 0


def size_of(text, data):
    """Return the bytes of a frame's payload."""
    if text is None:
        return len(data or b"")
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def get_send_event(reply):
    """Return the server's event for a reply with data."""
    if reply.get("text") is not None:
        return {"type": "websocket.send", "text": reply["text"]}
    return {"type": "websocket.send", "bytes": reply["bytes"]}


def reply_error(reply):
    """Return what is wrong with a reply as a sentence, or None."""
    if unknown := set(reply) - _REPLY_KEYS:
        return (
            f"it has no {', '.join(sorted(unknown))}; it knows "
            f"{', '.join(sorted(_REPLY_KEYS))}."
        )
    text, data, close = reply.get("text"), reply.get("bytes"), reply.get("close")
    if text is not None and data is not None:
        return "it has both text and bytes."
    if text is not None and not isinstance(text, str):
        return f"its text is of type {type(text).__name__}, not str."
    if data is not None and not isinstance(data, bytes):
        return f"its bytes are of type {type(data).__name__}, not bytes."
    if close not in (None, False, True) and not _is_close_code(close):
        return f"close must be True, 1000 to 1014 or 3000 to 4999, not {close!r}."
    return None


def _is_close_code(code):
    return type(code) is int and (
        3000 <= code <= 4999
        or (1000 <= code <= 1014 and code not in (1004, 1005, 1006))
    )
