"""
URLs of Redis servers: what redis-py would pass over without a word, refused.

In: a URL, and the options that redis-py made of it, from hosts.py. Out: a ValueError
that says what is wrong, without a password in it.
"""

import re
from urllib.parse import urlsplit

MAX_PORT = 65535

_digits_re = re.compile(r"[0-9]+")


def check_url(url):
    """Raise ValueError unless redis-py uses all that a URL says."""
    parts = urlsplit(url)
    fields = parts.query.split("&") if parts.query else []
    bare = [field for field in fields if "=" not in field]
    if parts.fragment or "@" in parts.path + "".join(bare):
        raise ValueError(
            "it has a #, or a / or ? before an @: in a user or password they must be "
            "written as %23, %2F and %3F"
        )
    if bare:
        raise ValueError(f"{bare[0]!r} behind the ? must be name=value")
    names = [field.partition("=")[0] for field in fields]
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError("it has no path, as unix:///run/redis.sock does")
    else:
        _check_port(parts)
        database = parts.path.removeprefix("/")
        if database:
            check_database(database)
            names.append("db")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is given more than once")


def _check_port(parts):
    try:
        if parts.port != 0:
            return
    except ValueError:
        pass
    port = parts.netloc.rpartition("@")[2].rpartition(":")[2]
    # In a URL with an unescaped password, it may be a part of that.
    shown = "" if "@" in parts.query else f" {port!r}"
    raise ValueError(f"the port{shown} must be a number from 1 to {MAX_PORT}")


def check_database(database):
    """Raise ValueError unless a database is a number, maybe as a str."""
    if isinstance(database, bool) or not _digits_re.fullmatch(str(database)):
        raise ValueError(f"the database {database!r} must be a number, 0 or more")


def check_options(options):
    """Raise ValueError for a port or a database that no server has."""
    if options.get("db") is not None:
        check_database(options["db"])
    port = options.get("port", 1)
    is_number = not isinstance(port, bool) and _digits_re.fullmatch(str(port))
    if not is_number or not 1 <= int(port) <= MAX_PORT:
        raise ValueError(f"the port {port!r} must be a number from 1 to {MAX_PORT}")
