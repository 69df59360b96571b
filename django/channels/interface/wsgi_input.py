"""
What a WSGI server knows of a request, as messages have it.

In: a request's environ, and its wsgi.input. Out: an http.request message, and the
chunks of its body, for wsgi.py.
"""

from django.channels.interface.bodies import BODY_CHUNK_BYTES, ClientGone, Refused
from django.core.handlers.wsgi import get_path_info, get_script_name

# What of the environ is a header without HTTP_ in front of it.
_HEADERS = ("CONTENT_TYPE", "CONTENT_LENGTH")


class WsgiBody:
    """
    The body of a request; ``limit`` is a number of bytes or None.

    Without a Content-Length there is one only if the server says that reading
    ends with it.
    """

    def __init__(self, environ, limit):
        self._input = environ["wsgi.input"]
        self._limit = limit
        length = environ.get("CONTENT_LENGTH") or ""
        self._left = int(length) if length.isascii() and length.isdigit() else None
        if self._left is None and not environ.get("wsgi.input_terminated"):
            self._left = 0
        self._received = 0
        # Is there more to send?
        self.has_more = True
        self._check_size(self._left or 0)

    def read_chunk(self):
        """
        Return the next part, a full chunk unless it is the last.

        Raise ClientGone if the body ends before its length, Refused if it is too
        long.
        """
        parts, size = [], 0
        while size < BODY_CHUNK_BYTES and self._left != 0:
            wanted = BODY_CHUNK_BYTES - size
            if self._left is not None:
                wanted = min(wanted, self._left)
            part = self._input.read(wanted)
            if not part:
                if self._left is not None:
                    raise ClientGone
                self._left = 0
                break
            parts.append(part)
            size += len(part)
            self._received += len(part)
            if self._left is not None:
                self._left -= len(part)
        self._check_size(self._received)
        self.has_more = self._left != 0
        return b"".join(parts)

    def _check_size(self, size):
        if self._limit is not None and size > self._limit:
            raise Refused(413, f"Request body exceeds {self._limit} bytes.")


def get_message(environ, reply_channel):
    """Return the http.request message of an environ, without its body."""
    script_name = get_script_name(environ).rstrip("/")
    path_info = get_path_info(environ) or "/"
    return {
        "type": "http.request",
        "reply_channel": reply_channel,
        "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1").rpartition("/")[2],
        "method": environ["REQUEST_METHOD"].upper(),
        "scheme": environ.get("wsgi.url_scheme", "http"),
        "path": f"{script_name}/{path_info.removeprefix('/')}",
        "query_string": environ.get("QUERY_STRING", "").encode("latin1"),
        "root_path": script_name,
        "headers": list(_get_headers(environ)),
        "client": _get_address(environ, "REMOTE_ADDR", "REMOTE_PORT"),
        "server": _get_address(environ, "SERVER_NAME", "SERVER_PORT"),
    }


def _get_headers(environ):
    for key, value in environ.items():
        if key in _HEADERS and value:
            name = key
        elif key.startswith("HTTP_"):
            name = key.removeprefix("HTTP_")
        else:
            continue
        name = name.replace("_", "-").lower()
        yield [name.encode("latin1"), value.encode("latin1")]


def _get_address(environ, host, port):
    """Return [host, port], None where there is no host, as on a Unix socket."""
    if not environ.get(host):
        return None
    number = str(environ.get(port) or "")
    return [environ[host], int(number) if number.isdigit() else 0]
