"""
The option ``hosts`` of the Redis layer: what it may be, and what it means.

In: the option, as a project's settings have it. Out: [(server, tag), …], one for
each shard. A queue belongs to one shard, see shards.py; most sites have one.
"""

import re

from django.channels.exceptions import InvalidChannelLayerError

from .urls import check_options, check_url

DEFAULT_HOSTS = ["redis://127.0.0.1:6379/0"]
SCHEMES = ("redis://", "rediss://", "unix://")
# Into how many shards a cluster's slots are divided, unless it is said.
CLUSTER_SHARDS = 8
MAX_SHARDS = 1024

ALLOWED = (
    "It may be a list of servers, each a URL (redis://, rediss:// or unix://), a "
    '(host, port) pair or a dict with "address", "host" or "path"; '
    '{"sentinels": [(host, port), …], "master_name": "…"}; or {"cluster": [URL, …]}.'
)

# A password that is an argument in a URL.
_password_re = re.compile(r"(pass\w*=)[^&]*")


def parse_hosts(hosts):
    """
    Return [(server, tag), …] for the shards.

    Raise InvalidChannelLayerError, which names the value and what is allowed.
    """
    if hosts is None:
        hosts = DEFAULT_HOSTS
    if isinstance(hosts, dict):
        hosts = [hosts]
    if not isinstance(hosts, (list, tuple)) or not hosts:
        raise _invalid(hosts)
    shards = []
    for host in hosts:
        if isinstance(host, dict) and "cluster" in host:
            if len(hosts) > 1:
                raise InvalidChannelLayerError("A cluster must be the only host.")
            return _parse_cluster(host)
        shards.append((_parse_host(host), ""))
    _check_names([server.name for server, _ in shards])
    return shards


def _check_names(names):
    for name in names:
        if names.count(name) > 1:
            raise InvalidChannelLayerError(
                f"hosts has {name} more than once. The channels are divided among "
                "servers by their names: name each of them once, with one database."
            )


def _invalid(value):
    return InvalidChannelLayerError(f"hosts={_masked(value)} is not valid. {ALLOWED}")


def _masked(value):
    """Return what a value looks like, without a password in it."""
    if isinstance(value, str):
        value = re.sub(r"://.*@", "://…@", value)
        return repr(_password_re.sub(r"\1…", value))
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_masked, value))}]"
    if isinstance(value, dict):
        shown = (
            f"{k!r}: {'…' if 'pass' in str(k) else _masked(v)}"
            for k, v in value.items()
        )
        return f"{{{', '.join(shown)}}}"
    return repr(value)


def _make_pool(address, given, shown):
    from redis import RedisError

    from .servers import make_pool

    try:
        if address is not None:
            check_url(address)
        pool = make_pool(address, given)
        check_options(pool.connection_kwargs)
        # What does not fit shows when a connection is made, before it connects.
        pool.make_connection()
    except (TypeError, ValueError, RedisError) as error:
        raise InvalidChannelLayerError(
            f"hosts={_masked(shown)} is not valid: {error}. {ALLOWED}"
        ) from None
    return pool


def _parse_host(host):
    from .servers import Alone

    if isinstance(host, str):
        if not host.startswith(SCHEMES):
            raise _invalid(host)
        return Alone(_make_pool(host, {}, host))
    if isinstance(host, (list, tuple)):
        if len(host) != 2 or not isinstance(host[0], str):
            raise _invalid(host)
        return Alone(_make_pool(None, {"host": host[0], "port": host[1]}, host))
    if not isinstance(host, dict):
        raise _invalid(host)
    if "sentinels" in host or "master_name" in host:
        return _parse_sentinels(host)
    given = dict(host)
    address = given.pop("address", None)
    if isinstance(address, (list, tuple)) and len(address) == 2:
        given["host"], given["port"] = address
        address = None
    if address is None and not {"host", "path"} & set(given):
        raise _invalid(host)
    if address is not None and not str(address).startswith(SCHEMES):
        raise _invalid(host)
    return Alone(_make_pool(address, given, host))


def _parse_sentinels(host):
    from .servers import Watched

    given = dict(host)
    sentinels = given.pop("sentinels", None)
    master_name = given.pop("master_name", None)
    sentinel_given = given.pop("sentinel_kwargs", None) or {}
    pairs = isinstance(sentinels, (list, tuple)) and all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in sentinels
    )
    if not sentinels or not pairs or not isinstance(master_name, str):
        raise _invalid(host)
    _make_pool(None, {**given, "host": "localhost"}, host)
    return Watched([tuple(p) for p in sentinels], master_name, given, sentinel_given)


def _parse_cluster(host):
    from .servers import Nodes, Part, name_of

    given = dict(host)
    addresses = given.pop("cluster")
    shards = given.pop("shards", CLUSTER_SHARDS)
    if not isinstance(addresses, (list, tuple)) or not addresses:
        raise _invalid(host)
    if not isinstance(shards, int) or not 1 <= shards <= MAX_SHARDS:
        raise InvalidChannelLayerError(
            f"shards={shards!r} is not valid: it must be an int from 1 to {MAX_SHARDS}."
        )
    pools = []
    for address in addresses:
        if isinstance(address, str) and address.startswith(SCHEMES[:2]):
            pools.append(_make_pool(address, given, host))
        elif isinstance(address, (list, tuple)) and len(address) == 2:
            options = {**given, "host": address[0], "port": address[1]}
            pools.append(_make_pool(None, options, host))
        else:
            raise _invalid(host)
        if database := int(pools[-1].connection_kwargs.get("db") or 0):
            raise InvalidChannelLayerError(
                f"hosts={_masked(host)} is not valid: it has the database {database}, "
                f"and those of clusters have none but 0."
            )
    nodes = Nodes(pools)
    name = f"cluster of {name_of(pools[0])}"
    tags = [str(number) for number in range(shards)]
    return [(Part(nodes, tag, name), f"{{{tag}}}") for tag in tags]
