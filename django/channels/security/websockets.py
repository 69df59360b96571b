"""
Which pages may open a socket: the check of a handshake's Origin.

In: the headers of a handshake, from interface/websocket.py, or a websocket.connect,
from a decorated consumer. Out: whether its page may.

A browser sends a site's cookies with every handshake, from whatever page it
comes, so a foreign page could use a visitor's login. See
specs/protocols/websocket.rst, section "Origin".
"""

import reprlib
from functools import update_wrapper, wraps
from urllib.parse import urlsplit

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from django.channels.exceptions import DenyConnection
from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.utils.http import is_same_domain

__all__ = [
    "AllowedHostsOnlyOriginValidator",
    "BaseOriginValidator",
    "allowed_hosts_only",
    "describe_origin",
    "is_origin_allowed",
]

# What DEBUG allows when ALLOWED_HOSTS is empty, as for requests.
DEBUG_HOSTS = [".localhost", "127.0.0.1", "[::1]"]

_DEFAULT_PORTS = {"http": "80", "https": "443"}


def is_origin_allowed(headers):
    """
    Return whether the Origin in a handshake's headers is one of this site's.

    ``headers`` is an iterable of (lower-case bytes name, bytes value). An
    absent Origin is allowed, as no browser leaves it out. A repeated or
    malformed one is not, nor one that is neither the host that was asked for,
    nor in ALLOWED_HOSTS, nor in CSRF_TRUSTED_ORIGINS. A ``*`` in ALLOWED_HOSTS
    says nothing about origins.
    """
    origins = [value for name, value in headers if name == b"origin"]
    if not origins:
        return True
    if len(origins) > 1:
        return False
    origin = _parse(origins[0])
    return origin is not None and (_is_host(origin, headers) or _is_configured(origin))


def describe_origin(headers):
    """Return what a handshake's Origin is, and what it has to be."""
    origins, hosts = (
        ", ".join(
            reprlib.repr(value.decode("latin1")) for n, value in headers if n == name
        )
        for name in (b"origin", b"host")
    )
    return (
        f"Origin {origins} is not allowed. It has to be that of the Host, {hosts}, if "
        f"ALLOWED_HOSTS has that, or be in ALLOWED_HOSTS or CSRF_TRUSTED_ORIGINS."
    )


def _parse(value):
    """Return (scheme, domain, port) of an Origin's value, None if malformed."""
    try:
        parts = urlsplit(value.decode("ascii"))
        scheme, netloc = parts.scheme, parts.netloc
        port = parts.port
    except (UnicodeDecodeError, ValueError):
        return None
    if scheme not in _DEFAULT_PORTS or value.decode("ascii").lower() != (
        f"{scheme}://{netloc}".lower()
    ):
        return None
    domain, _ = split_domain_port(netloc)
    if not domain:
        return None
    return scheme, domain, str(port or _DEFAULT_PORTS[scheme])


def _is_host(origin, headers):
    """Return whether a handshake asked for the very host that it came from."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1:
        return False
    scheme, domain, port = origin
    asked_domain, asked_port = split_domain_port(hosts[0].decode("latin1"))
    if not asked_domain or not validate_host(asked_domain, _allowed_hosts()):
        return False
    return (asked_domain, asked_port or _DEFAULT_PORTS[scheme]) == (domain, port)


def _is_configured(origin):
    scheme, domain, port = origin
    hosts = [host for host in _allowed_hosts() if host != "*"]
    return validate_host(domain, hosts) or any(
        _is_trusted(origin, urlsplit(trusted))
        for trusted in settings.CSRF_TRUSTED_ORIGINS
    )


def _is_trusted(origin, trusted):
    scheme, domain, port = origin
    trusted_domain, trusted_port = split_domain_port(trusted.netloc.replace("*", "", 1))
    return (
        trusted.scheme == scheme
        and (trusted_port or _DEFAULT_PORTS[scheme]) == port
        and is_same_domain(domain, trusted_domain)
    )


def _allowed_hosts():
    if settings.DEBUG and not settings.ALLOWED_HOSTS:
        return DEBUG_HOSTS
    return settings.ALLOWED_HOSTS


class BaseOriginValidator:
    """
    A decorator of consumers of websocket.connect, beside the check of every socket.

    A subclass says in ``validate_origin()`` which pages may open the socket. Others
    are denied, and so is whoever sends no Origin, or not exactly one.
    """

    def __init__(self, func):
        update_wrapper(self, func)
        self.func = func
        if iscoroutinefunction(func):
            markcoroutinefunction(self)

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        func = self.func.__get__(instance, owner)

        @wraps(func)
        def bound(message, *args, **kwargs):
            return self._call(func, message, *args, **kwargs)

        return markcoroutinefunction(bound) if iscoroutinefunction(func) else bound

    def __call__(self, message, *args, **kwargs):
        """Run the consumer; raise DenyConnection if the page may not."""
        return self._call(self.func, message, *args, **kwargs)

    def _call(self, func, message, *args, **kwargs):
        origin = self.get_origin(message)
        if not self.validate_origin(message, origin):
            raise DenyConnection(
                f"Its Origin {reprlib.repr(origin)} is not one for {message['path']!r}."
            )
        return func(message, *args, **kwargs)

    def get_header(self, message, name):
        """
        Return the value of a header, both lower-case bytes.

        Raise DenyConnection if there is not exactly one, ValueError for a message
        that has no headers.
        """
        if "headers" not in message:
            raise ValueError(
                f"{type(self).__name__} decorates consumers of websocket.connect: "
                f"{message!r} has no headers."
            )
        values = [bytes(v) for n, v in message["headers"] if bytes(n) == name]
        if len(values) != 1:
            raise DenyConnection(
                f"It must have one header {name.decode()!r}, and has {len(values)}."
            )
        return values[0]

    def get_origin(self, message):
        """Return the Origin, a str; raise DenyConnection if it is malformed."""
        origin = self.get_header(message, b"origin")
        if _parse(origin) is None:
            raise DenyConnection(f"Its Origin {reprlib.repr(origin)} is malformed.")
        return origin.decode("ascii")

    def validate_origin(self, message, origin):
        """Return whether pages of an origin may open the socket."""
        raise NotImplementedError("Subclasses of BaseOriginValidator say which may.")


class AllowedHostsOnlyOriginValidator(BaseOriginValidator):
    """Lets pages of the hosts in ALLOWED_HOSTS open a socket, and no others."""

    def validate_origin(self, message, origin):
        """Return whether the host of an origin is in ALLOWED_HOSTS."""
        _, domain, _ = _parse(origin.encode("ascii"))
        return validate_host(domain, _allowed_hosts())


allowed_hosts_only = AllowedHostsOnlyOriginValidator
