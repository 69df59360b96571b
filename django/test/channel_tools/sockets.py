"""
Clients of tests that are browsers: with cookies, headers, a session and a user.

In: calls of tests. Out: messages as an interface server sends them, see
specs/protocols/websocket.rst and http.rst.
"""

import json as json_module
import re
import warnings

from django.channels.interface.turns import CONSUMED, CONSUMING, ORDERED
from django.channels.names import validate_channel
from django.http import SimpleCookie
from django.test.client import ClientMixin

from .clients import Client, copy_content

# What the first message of a connection has besides what the client sets.
FIRST_MESSAGES = {
    "websocket.connect": {"scheme": "ws", "subprotocols": []},
    "http.request": {"scheme": "http", "method": "GET", "http_version": "1.1"},
}
COMMON_KEYS = {
    "root_path": "",
    "client": ["127.0.0.1", 0],
    "server": ["testserver", 80],
}
# Replies that are for the server that a client stands for.
ORDER_REPORTS = {ORDERED, CONSUMED, CONSUMING}
# The close code of a client that leaves without a reason.
NORMAL_CLOSURE = 1000


class WSClient(ClientMixin, Client):
    """
    A client with one socket, or for HTTP requests.

    Besides what Client does, it fills in what an interface server would. With
    ``ordered``, messages are numbered as they are by servers; consumers that
    enforce the order need that. It has ``session``, ``login()``,
    ``force_login()`` and ``logout()`` of Django's test client.
    """

    def __init__(self, ordered=False, **kwargs):
        if not isinstance(ordered, bool):
            raise TypeError(f"ordered must be True or False, not {ordered!r}.")
        super().__init__(**kwargs)
        self.cookies = SimpleCookie()
        self._headers = {}
        self._numbers_messages = ordered
        self._next_order = 0
        # Whether consumers of the socket come one after the other.
        self._keeps_order = True

    def set_cookie(self, key, value):
        """Have a cookie with the handshake and requests from now on."""
        self.cookies[key] = value

    def get_cookies(self):
        """Return {name: value} of the cookies."""
        return {name: morsel.value for name, morsel in self.cookies.items()}

    def set_header(self, key, value):
        """
        Have a header, of str or bytes, with the handshake and requests from now on.

        Raise TypeError for other types, ValueError for what HTTP does not allow and
        for the header of the cookies.
        """
        name = _to_header("The name of a header", key).lower()
        if name == b"cookie":
            raise ValueError("Use set_cookie() for the header 'cookie'.")
        value = _to_header(f"The header {key!r}", value)
        self._headers[name.decode("latin-1")] = value

    @property
    def headers(self):
        """The headers, {name in lower case: bytes}, with that of the cookies."""
        headers = dict(self._headers)
        if self.cookies:
            pairs = (f"{m.key}={m.coded_value}" for m in self.cookies.values())
            # As browsers have it, whatever the values are.
            headers["cookie"] = "; ".join(pairs).encode()
        return headers

    def receive(self, json=True):
        """
        Return what the next reply brings, None if there is none.

        That is what its text is as JSON, or the text itself if ``json`` is false; for
        a reply without text, the whole content. Raise ValueError for other text.
        """
        content = self._receive_reply()
        if content is None or content.get("text") is None:
            return content
        if not json:
            return content["text"]
        try:
            return json_module.loads(content["text"])
        except ValueError as error:
            raise ValueError(
                f"{content['text']!r} is no JSON: use receive(json=False)."
            ) from error

    def send(self, to, content=None, text=None, path="/"):
        """
        Send a message to a channel, as of this client's connection.

        ``text`` is what a socket receives, a str or what can be JSON. ``path`` may
        have a query string. What ``content`` has comes first. Raise TypeError for
        text that cannot be JSON, and a path that is no str.
        """
        to = validate_channel(to)
        super().send(to, self._get_content(to, content, text, path))

    def consume(self, channel, fail_on_none=True, check_accept=True):
        """
        See Client.consume().

        Unless ``check_accept`` is false, raise AssertionError if the consumer of a
        websocket.connect does not accept the socket; its accept is then taken.
        """
        result = super().consume(channel, fail_on_none=fail_on_none)
        if check_accept and channel == "websocket.connect":
            self._take_accept()
        return result

    async def aconsume(self, channel, fail_on_none=True, check_accept=True):
        """See consume()."""
        result = await super().aconsume(channel, fail_on_none=fail_on_none)
        if check_accept and channel == "websocket.connect":
            self._take_accept()
        return result

    def send_and_consume(
        self,
        channel,
        content=None,
        text=None,
        path="/",
        fail_on_none=True,
        check_accept=True,
    ):
        """Send a message and run its consumer. See send() and consume()."""
        self.send(channel, content, text, path)
        return self.consume(channel, fail_on_none, check_accept)

    async def asend_and_consume(
        self,
        channel,
        content=None,
        text=None,
        path="/",
        fail_on_none=True,
        check_accept=True,
    ):
        """See send_and_consume()."""
        self.send(channel, content, text, path)
        return await self.aconsume(channel, fail_on_none, check_accept)

    def _get_content(self, to, content, text, path):
        content = copy_content(content)
        content["path"], query = _split(content.get("path", path))
        if to in FIRST_MESSAGES:
            headers = [[k.encode("latin-1"), v] for k, v in self.headers.items()]
            first = {**COMMON_KEYS, **FIRST_MESSAGES[to], "headers": headers}
            content = {**first, "query_string": query, **content}
        if text is not None:
            content.setdefault("text", _to_text(text))
        if to.startswith(("websocket.", "http.")):
            content.setdefault("type", to)
        if to == "websocket.receive" and "bytes" not in content:
            content.setdefault("text", "")
        elif to == "websocket.disconnect":
            content.setdefault("code", NORMAL_CLOSURE)
        if self._numbers_messages and to.startswith("websocket."):
            self._add_order(to, content)
        return content

    def _add_order(self, to, content):
        if "order" in content:
            raise ValueError(
                f"'order' is {content['order']!r}, and a client with ordered=True "
                f"numbers its messages itself."
            )
        # A server leaves the order to the consumer of the connect.
        content["ordered"] = to != "websocket.connect" and self._keeps_order
        content["order"] = self._next_order
        self._next_order += 1

    def _get_result(self, worker, message, fail_on_none):
        if "ordered" in message and message.channel.name == "websocket.connect":
            # The consumer has asked for order if it wants to confirm.
            run = worker.last_run
            self._keeps_order = bool(run and run.message.get("confirm"))
        return super()._get_result(worker, message, fail_on_none)

    def _receive_reply(self):
        """Return the content of the next reply that is for a client."""
        reply = super().receive()
        while reply is not None and reply.get("type") in ORDER_REPORTS:
            reply = super().receive()
        return reply

    def _take_accept(self):
        reply = self._receive_reply()
        accept = reply.get("accept") if reply else None
        if accept is None and reply and not reply.keys().isdisjoint({"text", "bytes"}):
            # Data accepts, and is still to be received.
            self.channel_layer.put_back([(self.reply_channel, reply)])
        elif accept is not True:
            raise AssertionError(f"Connection rejected: {reply} != {{'accept': True}}")


class HttpClient(WSClient):
    """A deprecated name of WSClient."""

    def __init__(self, **kwargs):
        warnings.warn(
            "HttpClient is an old name: use WSClient.", DeprecationWarning, stacklevel=2
        )
        super().__init__(**kwargs)


def _to_header(what, value):
    """Return the bytes of a part of a header; ``what`` says which one."""
    if not isinstance(value, (str, bytes)):
        raise TypeError(f"{what} must be a str or bytes, not {value!r}.")
    try:
        encoded = value if isinstance(value, bytes) else value.encode("latin-1")
    except UnicodeEncodeError:
        encoded = b"\0"
    if re.search(rb"[\0\r\n]", encoded):
        raise ValueError(
            f"{what} must consist of characters of latin-1, and have no line break, "
            f"not {value!r}."
        )
    return encoded


def _split(path):
    """Return (path, bytes of its query string)."""
    if not isinstance(path, str):
        raise TypeError(f"path must be a str, not {path!r}.")
    path, _, query = path.partition("?")
    return path, query.encode()


def _to_text(text):
    """Return what a socket is sent for ``text``."""
    if isinstance(text, str):
        return text
    try:
        return json_module.dumps(text)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"text must be a str or what can be JSON, not {text!r}; bytes are sent by "
            f'content={{"bytes": …}}.'
        ) from error
