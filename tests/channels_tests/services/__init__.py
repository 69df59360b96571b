"""
Real servers for tests: Redis, Valkey, Sentinel, Cluster, PostgreSQL, MariaDB.

``redis()`` and the like return a server that runs. Without arguments it is the
same one for all tests of a process; tests share it by names of their own, see
unique_name(). With ``own=True``, or options, it is the caller's, who stops it:

    server = services.redis(own=True, maxmemory="2mb")
    self.addCleanup(server.stop)

A server that cannot be started here raises SkipTest, but fails where CI is set.
All servers end with the process that started them, however that ends.
"""

import itertools
import os

from .maria import MariaDB
from .postgresql import PostgreSQL
from .redis_alone import OldestRedis, Redis, Valkey
from .redis_cluster import Cluster
from .redis_sentinel import Sentinel
from .server import NotInstalled, Server

__all__ = [
    "NotInstalled",
    "Server",
    "cluster",
    "mariadb",
    "oldest_redis",
    "postgres",
    "redis",
    "sentinel",
    "unique_name",
    "valkey",
]

_shared = {}
_numbers = itertools.count(1)


def unique_name(start="t"):
    """Return a name that no other test on this machine uses: a prefix, a database."""
    return f"{start}{os.getpid()}_{next(_numbers)}"


def redis(own=False, **options):
    """Return a Redis; without one on PATH, a Valkey."""
    return _get(Redis, own, options)


def oldest_redis(own=False, **options):
    """Return a Redis of the oldest version that is supported."""
    return _get(OldestRedis, own, options)


def valkey(own=False, **options):
    """Return a Valkey."""
    return _get(Valkey, own, options)


def sentinel(own=False, **options):
    """Return a master and a replica that three sentinels watch."""
    return _get(Sentinel, own, options)


def cluster(own=False, **options):
    """Return a cluster of three masters."""
    return _get(Cluster, own, options)


def postgres(own=False, **options):
    """Return a PostgreSQL."""
    return _get(PostgreSQL, own, options)


def mariadb(own=False, **options):
    """Return a MariaDB."""
    return _get(MariaDB, own, options)


def _get(kind, own, options):
    if own or options:
        return kind(**options).start()
    server = _shared.get(kind)
    if server is None:
        server = _shared[kind] = kind().start()
    elif not server.running:
        server.restart()
    return server
