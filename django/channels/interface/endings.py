"""
How a socket is refused or closed, as far as its server can.

In: decisions of websocket.py. Out: events for the server.
"""

import sys

from django.channels.exceptions import LayerUnavailable

# Close codes, RFC 6455 section 7.4.1.
NORMAL = 1000
ABNORMAL = 1006
INVALID_PAYLOAD = 1007
POLICY_VIOLATION = 1008
TOO_BIG = 1009
TRY_AGAIN_LATER = 1013
# What is added for a server that cannot send a code below 3000.
PRIVATE = 3000


def describe_refusal(queue, error):
    """Return in some words why a queue took nothing: it is full, or away."""
    away = isinstance(error, LayerUnavailable)
    return f"{queue} {'not available' if away else 'full'}"


async def close_socket(send, code):
    """Close a socket that is open, with a code."""
    try:
        await send({"type": "websocket.close", "code": code})
    except OSError:
        raise
    except Exception:
        if code >= PRIVATE:
            raise
        # Daphne's own protocol sends 1000 and nothing else below 3000.
        await send({"type": "websocket.close", "code": code + PRIVATE})


def says_gone(error):
    """Return whether a server raised an exception because the client is gone."""
    # Daphne lets one of Autobahn pass, which is no OSError.
    autobahn = sys.modules.get("autobahn.exception")
    gone = (OSError,) if autobahn is None else (OSError, autobahn.Disconnected)
    return isinstance(error, gone)


async def refuse_handshake(send, scope, status, reason):
    """Refuse a handshake: with the status if the server can, else as it does."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        code = TRY_AGAIN_LATER if status == 503 else POLICY_VIOLATION
        await send({"type": "websocket.close", "code": code})
        return
    body = f"{reason}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    kind = "websocket.http.response"
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
