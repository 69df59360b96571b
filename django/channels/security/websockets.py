"""
Which pages may open a socket: the check of a handshake's Origin.

A browser sends a site's cookies with every handshake, from whatever page it
comes, so a foreign page could use a visitor's login. See
specs/protocols/websocket.rst, section "Origin".
"""

from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.utils.http import is_same_domain

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
