"""
The response to one HTTP request, as its server's events.

In: response messages of the consumer, from http.py. Out: http.response events.
"""

import re

from django.channels.names import validate_channel

# The status codes of responses that end with their head: RFC 9110, section 6.4.1.
WITHOUT_CONTENT = {204, 304}
# The types of a message's values; status and credit_channel have their own checks.
_TYPES = {"type": str, "headers": list, "content": bytes, "more_content": bool}
_KEYS = {*_TYPES, "status", "credit_channel"}
# A token of RFC 9110, and what is no line break nor NUL: any other could add a
# header, or a response.
_name_re = re.compile(rb"[\w!#$%&'*+.^`|~-]+")
_value_re = re.compile(rb"[^\r\n\0]*")


class ResponseWriter:
    """
    Writes the response to a request to an ASGI server's ``send``.

    ``started`` and ``complete`` tell how far it is, ``credit_channel`` is what a
    message has named, or None.
    """

    def __init__(self, send, method="GET"):
        self._send = send
        self._method = method
        self.started = False
        self.complete = False
        # Who is told what was passed on.
        self.credit_channel = None

    async def write(self, reply):
        """
        Write one response message.

        Raise ValueError, and write nothing, for one that is not as
        specs/protocols/http.rst describes it.
        """
        check_reply(reply, is_first=not self.started)
        self.credit_channel = reply.get("credit_channel") or self.credit_channel
        if not self.started:
            await self._start(reply["status"], reply.get("headers", []))
        self.complete = not reply.get("more_content", False)
        await self._send(
            {
                "type": "http.response.body",
                "body": reply.get("content", b"") if self._has_content else b"",
                "more_body": not self.complete,
            }
        )

    async def refuse(self, status, reason):
        """
        Answer with an error of the interface's own.

        Once a response has begun, all that can be done is to leave it incomplete:
        servers close the connection then, so that the client knows.
        """
        if not self.started:
            body = f"{reason}\n".encode()
            headers = [
                [b"Content-Type", b"text/plain; charset=utf-8"],
                [b"Content-Length", str(len(body)).encode()],
            ]
            await self.write({"status": status, "headers": headers, "content": body})

    async def _start(self, status, headers):
        self.started = True
        self._has_content = may_have_content(self._method, status)
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(bytes(name), bytes(value)) for name, value in headers],
            }
        )


def may_have_content(method, status):
    """
    Return whether anything may follow the head of a response.

    Not every server leaves it out by itself.
    """
    return method != "HEAD" and status not in WITHOUT_CONTENT


def check_reply(reply, is_first):
    """
    Raise ValueError for a message that is no part of a response.

    ``is_first`` is true for the one that has the status and the headers.
    """
    if unknown := set(reply) - _KEYS:
        raise ValueError(
            f"A response has no {', '.join(sorted(unknown))}; it knows "
            f"{', '.join(sorted(_KEYS))}."
        )
    if is_first:
        _check_status(reply.get("status"))
    elif "status" in reply:
        raise ValueError(
            f"The response broke off: what followed has a status of its own, "
            f"{reply['status']!r}."
        )
    if reply.get("credit_channel") is not None:
        _check_channel(reply["credit_channel"])
    for key, allowed in _TYPES.items():
        if key in reply and not isinstance(reply[key], allowed):
            raise ValueError(
                f"The {key} of a response must be {allowed.__name__}, not "
                f"{type(reply[key]).__name__}."
            )
    if is_first:
        _check_headers(reply.get("headers", []))


def _check_status(status):
    if type(status) is not int or not 100 <= status <= 999:
        raise ValueError(
            f"The status of a response must be an int from 100 to 999, not "
            f"{status!r}."
        )


def _check_channel(name):
    try:
        validate_channel(name)
    except TypeError as error:
        raise ValueError(f"A response has a bad credit_channel: {error}") from error


def _check_headers(headers):
    for header in headers:
        is_pair = isinstance(header, list) and len(header) == 2
        if not is_pair or not all(isinstance(part, bytes) for part in header):
            raise ValueError(
                f"A header of a response must be a pair of bytes, not {header!r}."
            )
        name, value = header
        if not _name_re.fullmatch(name) or not _value_re.fullmatch(value):
            raise ValueError(
                f"A header of a response must be a token and a value without "
                f"line breaks or NUL, not {header!r}."
            )
