"""
Where servers are: one alone, what sentinels name, or a part of a cluster.

In: hosts.py, which checked the options. Out: connections of redis-py, on which
nothing is tried again: a repeated command would be carried out twice.
"""

# The first connection to a host would import it, and hold a lock that a process
# which forks meanwhile has for good.
import encodings.idna  # NOQA: F401

import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry
from redis.sentinel import Sentinel

from .wire import WireError, describe_error

# How long a server may take to accept a connection, and to answer, in seconds.
TIMEOUT_SECONDS = 5


# What wire.py and the store rely on, whatever is given.
FIXED = {
    "decode_responses": False,
    "health_check_interval": 0,
    "protocol": 2,
    "retry_on_error": [],
    "retry_on_timeout": False,
}


def connection_options(given):
    """Return the keyword arguments for a connection, or a pool, of redis-py."""
    return {
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "socket_keepalive": True,
        **given,
        **FIXED,
        "retry": Retry(NoBackoff(), 0),
    }


def make_pool(address, given):
    """
    Return a pool of redis-py, which only makes connections here.

    ``address`` is a URL, or None if ``given`` says where the server is.
    """
    given = dict(given)
    if address is not None:
        if address.startswith("unix:"):
            given = {k: v for k, v in given.items() if not k.startswith("ssl")}
        options = connection_options(given)
        if address.startswith("unix:"):
            del options["socket_keepalive"]
        pool = redis.ConnectionPool.from_url(address, **options)
        # A URL has options of its own.
        pool.connection_kwargs.update(FIXED, retry=options["retry"])
        return pool
    if "path" in given:
        kind = redis.UnixDomainSocketConnection
    elif given.pop("ssl", False):
        kind = redis.SSLConnection
    else:
        kind = redis.Connection
    options = connection_options(given)
    if "path" in given:
        del options["socket_keepalive"]
    return redis.ConnectionPool(connection_class=kind, **options)


def name_of(pool):
    """Return where a pool leads to, without names of users and passwords."""
    options = pool.connection_kwargs
    if "path" in options:
        return options["path"]
    return f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"


def open_connection(pool):
    """Return a connection that is made and logged in, and its address."""
    address = name_of(pool)
    # Not by the pool, which counts those that it ever made, and has a limit.
    connection = pool.connection_class(**pool.connection_kwargs)
    try:
        connection.connect()
    except (redis.RedisError, OSError) as error:
        connection.disconnect()
        raise WireError(describe_error(error)) from error
    return connection, address


class Alone:
    """One server."""

    def __init__(self, pool):
        self._pool = pool
        self.name = name_of(pool)
        # What queues are divided by: all processes say it alike.
        self.identity = self.name

    def connect(self):
        """Return a connection and its address; raise WireError."""
        return open_connection(self._pool)

    def lose(self):
        """Forget where the server is; return whether it may be elsewhere."""
        return False


class Watched:
    """The master of that name, as sentinels say at the time."""

    def __init__(self, sentinels, master_name, given, sentinel_given):
        self.name = f"{master_name} of sentinels"
        self.identity = master_name
        self._sentinels = sentinels
        self._sentinel_options = connection_options(sentinel_given)
        self._master_name = master_name
        self._given = given

    def connect(self):
        """See Alone.connect()."""
        options = dict(self._sentinel_options)
        try:
            host, port = Sentinel(
                self._sentinels, sentinel_kwargs=options
            ).discover_master(self._master_name)
        except (redis.RedisError, OSError) as error:
            raise WireError(
                f"The sentinels name no master {self._master_name!r}: "
                f"{describe_error(error)}"
            ) from error
        pool = make_pool(None, {**self._given, "host": host, "port": port})
        connection, address = open_connection(pool)
        self._check_role(connection, address)
        return connection, address

    def lose(self):
        """See Alone.lose()."""
        return True

    def _check_role(self, connection, address):
        try:
            connection.send_command("ROLE")
            role = connection.read_response()[0]
        except (redis.RedisError, OSError) as error:
            connection.disconnect()
            raise WireError(describe_error(error)) from error
        if role not in (b"master", "master"):
            connection.disconnect()
            raise WireError(f"{address} is no master (yet).")


class _Map:
    """Which node has which slots, as one of them said."""

    # [(first slot, last slot, host, port), …] or None.
    slots = None


class Nodes:
    """
    The nodes of a cluster, and which of them has which slots.

    There is no lock: a process may fork while a thread asks a node.
    """

    def __init__(self, pools):
        self._pools = pools
        self._map = _Map()

    def connect(self, slot):
        """Return a connection to the node that has a slot, and its address."""
        # An answer to a question from before lose() stays in the map from before.
        known = self._map
        if known.slots is None:
            known.slots = self._find()
        for first, last, host, port in known.slots:
            if first <= slot <= last:
                return open_connection(self._pool(host, port))
        raise WireError(f"No node of the cluster has slot {slot}.")

    def lose(self):
        """Ask for the slots again before the next connection."""
        self._map = _Map()

    def _pool(self, host, port):
        pool = self._pools[0]
        options = {**pool.connection_kwargs, "host": host, "port": port}
        return redis.ConnectionPool(connection_class=pool.connection_class, **options)

    def _find(self):
        failure = None
        for pool in self._pools:
            try:
                connection, _ = open_connection(pool)
            except WireError as error:
                failure = error
                continue
            try:
                connection.send_command("CLUSTER", "SLOTS")
                slots = connection.read_response()
            except (redis.RedisError, OSError) as error:
                failure = WireError(describe_error(error))
                continue
            finally:
                connection.disconnect()
            return [
                (
                    first,
                    last,
                    (master[0] or b"").decode() or pool.connection_kwargs["host"],
                    master[1],
                )
                for first, last, master, *_ in slots
            ]
        raise failure


class Part:
    """The node of a cluster that has the keys with a tag."""

    identity = ""

    def __init__(self, nodes, tag, name):
        self._nodes = nodes
        self._slot = key_slot(tag.encode())
        self.name = name

    def connect(self):
        """See Alone.connect()."""
        return self._nodes.connect(self._slot)

    def lose(self):
        """See Alone.lose()."""
        self._nodes.lose()
        return True
