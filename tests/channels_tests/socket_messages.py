"""Messages of sockets, for consumers that a test calls by itself."""

from django.channels import Message
from django.conf import settings

REPLY_CHANNEL = "interface.reply.test!socket"


def socket_message(layer, channel="websocket.receive", **content):
    """Return the Message that a consumer gets from a socket."""
    content = {
        "type": channel,
        "reply_channel": REPLY_CHANNEL,
        "path": "/",
        "order": 0 if channel == "websocket.connect" else 1,
        **content,
    }
    return Message(content, channel, layer)


def connect_message(layer, session_key=None, cookie=None, **content):
    """Return a websocket.connect of a browser with a session."""
    if session_key is not None:
        cookie = f"{settings.SESSION_COOKIE_NAME}={session_key}".encode()
    headers = [[b"host", b"testserver"]]
    if cookie is not None:
        headers.append([b"cookie", cookie])
    return socket_message(layer, "websocket.connect", headers=headers, **content)
