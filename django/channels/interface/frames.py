"""
What may go through a socket: handshake, sizes, rates and replies.

Used by websocket.py; specs/protocols/websocket.rst has the tables.
"""

import re
import time

# The types of a reply's values; close has a check of its own.
_TYPES = {
    "type": str,
    "accept": bool,
    "subprotocol": str,
    "text": str,
    "bytes": bytes,
}
_KEYS = {*_TYPES, "close"}
# A token of RFC 9110; anything else could add a header to the handshake.
_token_re = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)


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


def get_handshake(scope):
    """Return what websocket.connect tells of a scope."""
    return {
        "scheme": scope.get("scheme", "ws"),
        "query_string": scope.get("query_string", b""),
        "root_path": scope.get("root_path", ""),
        "headers": [[bytes(n).lower(), bytes(v)] for n, v in scope["headers"]],
        "client": list(scope["client"]) if scope.get("client") else None,
        "server": list(scope["server"]) if scope.get("server") else None,
        "subprotocols": list(scope.get("subprotocols", [])),
    }


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


def is_only_text(reply):
    """Return whether a reply is a text for the client, like most, and nothing else."""
    return len(reply) == 1 and type(reply.get("text")) is str


def reply_error(reply):
    """Return what is wrong with any reply as a sentence, or None."""
    if unknown := set(reply) - _KEYS:
        return (
            f"it has no {', '.join(sorted(unknown))}; it knows "
            f"{', '.join(sorted(_KEYS))}."
        )
    if reply.get("text") is not None and reply.get("bytes") is not None:
        return "it has both text and bytes."
    close, subprotocol = reply.get("close"), reply.get("subprotocol")
    if close is not None and not isinstance(close, bool) and not _is_close_code(close):
        return f"close must be True, 1000 to 1014 or 3000 to 4999, not {close!r}."
    for key, allowed in _TYPES.items():
        value = reply.get(key)
        if value is not None and not isinstance(value, allowed):
            return f"its {key} must be {allowed.__name__}, not {type(value).__name__}."
    if subprotocol and not _token_re.fullmatch(subprotocol):
        return f"its subprotocol is no token: {subprotocol!r}."
    return None


def handshake_error(reply, offered):
    """Return why a reply cannot decide on a handshake, as a sentence, or None."""
    subprotocol = reply.get("subprotocol")
    # Servers drop such a connection, send it, or wait for ever; browsers refuse it.
    if subprotocol and subprotocol not in offered:
        return (
            f"its subprotocol {subprotocol!r} is none that the client offers, which "
            f"are {offered!r}."
        )
    return None


def _is_close_code(code):
    return type(code) is int and (
        3000 <= code <= 4999
        or (1000 <= code <= 1014 and code not in (1004, 1005, 1006))
    )
