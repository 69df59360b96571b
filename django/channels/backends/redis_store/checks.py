"""
What a server is, and which of its settings would break what the layer promises.

In: check() of the layer and describe(). Out: INFO and the like, on a connection
that is closed again.
"""

from django.core.checks import Error, Info, Warning

from .replies import ErrorReply
from .wire import Wire

OLDEST_VERSION = (6, 2)


def read_info(shard, *sections):
    """Return what INFO says, as a dict; raise LayerUnavailable."""
    wire = Wire(shard.server.connect)
    found = {}
    with shard.errors():
        try:
            wire.open()
            for section in sections:
                reply = wire.call("INFO", section)
                if isinstance(reply, ErrorReply):
                    continue
                for line in reply.decode(errors="replace").splitlines():
                    key, _, value = line.partition(":")
                    found[key] = value
        finally:
            wire.close()
    return found


def name_server(info):
    """Return the name and the version of a server."""
    if "valkey_version" in info:
        return "Valkey", info["valkey_version"]
    return "Redis", info.get("redis_version", "unknown")


def describe_server(shard):
    """Return a line for a human on a shard."""
    info = read_info(shard, "server", "memory")
    name, version = name_server(info)
    return (
        f"{name} {version} at {shard.server.name}, keys {shard.keys}*, memory "
        f"{info.get('used_memory_human', '?')} of "
        f"{info.get('maxmemory_human', '?')}, policy "
        f"{info.get('maxmemory_policy', '?')}"
    )


def check_servers(shards):
    """Return messages of django.core.checks on what may break promises."""
    found, names = [], {}
    for shard in shards:
        info = read_info(shard, "server", "memory", "persistence", "cluster")
        found += [item for item in _check_server(shard, info) if item not in found]
        if not shard.is_tagged and "run_id" in info:
            names.setdefault(info["run_id"], []).append(shard.server.name)
    return found + [_same_server(same) for same in names.values() if len(same) > 1]


def _same_server(names):
    return Error(
        f"Redis at {' and '.join(names)} is one server.",
        hint="Name each server once, or messages to groups arrive more than once.",
        id="channels.redis.E003",
    )


def _check_server(shard, info):
    where = f"Redis at {shard.server.name}"
    checks = (_check_version, _check_mode, _check_memory, _check_writes)
    return [message for check in checks for message in check(where, shard, info)]


def _check_version(where, shard, info):
    version = info.get("redis_version", "")
    numbers = tuple(int(n) for n in version.split(".")[:2] if n.isdigit())
    if numbers and numbers < OLDEST_VERSION:
        yield Error(
            f"{where} is version {version}.",
            hint="The channel layer needs Redis 6.2 or later, or Valkey.",
            id="channels.redis.E001",
        )


def _check_mode(where, shard, info):
    if info.get("cluster_enabled") == "1" and not shard.is_tagged:
        yield Error(
            f"{where} is a node of a cluster.",
            hint='Name the cluster: hosts={"cluster": [URL, …]}.',
            id="channels.redis.E002",
        )


def _check_memory(where, shard, info):
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield Warning(
            f"{where} may evict messages and groups: its maxmemory-policy is {policy}.",
            hint="Set it to noeviction, or give the channel layer its own server.",
            id="channels.redis.W001",
        )
    if info.get("maxmemory") == "0":
        yield Info(
            f"{where} has no limit for its memory.",
            hint="With maxmemory, a full server refuses messages and lives on.",
            id="channels.redis.I001",
        )


def _check_writes(where, shard, info):
    if info.get("rdb_last_bgsave_status") == "err":
        yield Warning(
            f"{where} could not save its last snapshot, and may refuse all writes.",
            hint="The channel layer needs no snapshots. Mend the disk, or set save to "
            'nothing ("").',
            id="channels.redis.W002",
        )
