"""
Channel layers against those of Channels, redis-benchmark and LMDB alone.

The rows of what is promised, each with its target; --only takes part of a title,
like "redis," or "stream". Variants are measured in turns, and the ratios are of
each round's pair. Layers of Channels, servers and clients are all from one
environment. A missed target is the exit code 1.
"""

from dataclasses import replace

from lib.errors import ToolError

from .layers_comparison import LayerComparison
from .layers_figures import Target
from .layers_groups import GroupTable, MemoryGroup
from .layers_idle import Idle
from .layers_variants import (
    BATCH,
    STREAM_CAPACITY,
    UNBOUNDED,
    Calls,
    Layer,
    RedisBenchmark,
    RoundTrip,
    Stream,
)

ROUNDS = 5
SECONDS = 1.0

PUBSUB, CORE = "channels_redis pub/sub", "channels_redis core"
BENCHMARK = "redis-benchmark -P 16 LPUSH"

LARGE = {"capacity": STREAM_CAPACITY}
OURS = Layer("redis", server="redis", options=LARGE)
OURS_ASYNC = Layer("redis", "async", "redis", LARGE)
CHANNELS_PUBSUB = Layer("channels pub/sub", "channels", "redis")
CHANNELS_CORE = Layer("channels core", "channels", "redis", {"capacity": UNBOUNDED})
IPC = Layer("ipc", server="folder", options=LARGE)
IPC_ASYNC = Layer("ipc", "async", "folder", LARGE)
POSTGRES = Layer("database", server="postgres", options=LARGE)
SQLITE = Layer("database", server="sqlite", options=LARGE)


def comparisons(sides):
    """Return all of them, in the order of the table of what is promised."""
    return [
        redis_stream(),
        redis_send(),
        redis_round_trip(),
        redis_socket_round_trip(),
        *redis_groups(),
        memory(),
        memory_groups(),
        ipc_stream(),
        lmdb_writes(),
        ipc_round_trip(),
        database_stream(),
        database_round_trip(),
        idle(),
    ]


def judge(record):
    """Raise ToolError if a target is missed."""
    missed = [target["text"] for target in record["targets"] if not target["met"]]
    if missed:
        raise ToolError(f"{'; '.join(missed)}.")


def redis_stream():
    ours = "ours, inbox"
    return LayerComparison(
        f"redis, stream: 100-byte messages between two processes, batches of {BATCH}",
        "messages/s",
        [
            Stream(ours, OURS),
            Stream("ours, normal channel", OURS, normal=True),
            # Each with what it is fastest with.
            Stream(PUBSUB, CHANNELS_PUBSUB, batch=1),
            Stream(CORE, CHANNELS_CORE, batch=16),
            RedisBenchmark(BENCHMARK, OURS),
        ],
        [
            target
            for name in (ours, "ours, normal channel")
            for target in (
                Target("at least", 0.2, name, BENCHMARK, digits=3),
                Target("at least", 10, name, PUBSUB, digits=1),
                Target("at least", 40, name, CORE, digits=1),
            )
        ],
    )


def redis_send():
    unread = Layer("redis", server="redis", options={"capacity": UNBOUNDED})
    plain = "redis-py SET"
    return LayerComparison(
        "redis, send: one after the other, sync, and one plain call, in one process",
        "calls/s",
        [
            Calls("send, inbox", unread),
            Calls("send, normal channel", unread, normal=True),
            Calls(plain, unread, call="sets"),
        ],
        [
            Target("at least", 0.5, name, plain)
            for name in ("send, inbox", "send, normal channel")
        ],
        part=0.5,
    )


def redis_round_trip():
    names = ("ours, sync", "ours, async", "ours, sync, normal channels")
    return LayerComparison(
        "redis, ping-pong: between two processes, p50",
        "ms",
        [
            RoundTrip(names[0], OURS),
            RoundTrip(names[1], OURS_ASYNC),
            RoundTrip(names[2], OURS, normal=True),
            RoundTrip(PUBSUB, CHANNELS_PUBSUB),
            RoundTrip(CORE, CHANNELS_CORE),
        ],
        [Target("at most", 0.7, name, PUBSUB) for name in names[:2]],
        digits=3,
        part=0.5,
    )


def redis_socket_round_trip():
    names = ("ours, sync", "ours, async")
    return LayerComparison(
        "redis, ping-pong by its Unix socket: between two processes, p50",
        "ms",
        [
            RoundTrip(names[0], replace(OURS, by_socket=True)),
            RoundTrip(names[1], replace(OURS_ASYNC, by_socket=True)),
            RoundTrip(PUBSUB, replace(CHANNELS_PUBSUB, by_socket=True)),
        ],
        [Target("at most", 0.7, name, PUBSUB) for name in names],
        digits=3,
        part=0.5,
    )


def redis_groups():
    variants = [
        Stream(name, layer, server_name=name)
        for name, layer in (
            ("ours", OURS),
            (PUBSUB, CHANNELS_PUBSUB),
            (CORE, CHANNELS_CORE),
        )
    ]
    return [
        GroupTable(f"redis, send_group: members in {where}", variants, processes)
        for processes, where in ((1, "one process"), (4, "four processes"))
    ]


def memory():
    ours, ours_async, peer = "ours, sync", "ours, async", "channels InMemory"
    return LayerComparison(
        "memory, send and receive: in one process",
        "messages/s",
        [
            Calls(ours, Layer("memory"), call="both", worker="sync"),
            Calls(ours_async, Layer("memory", "async"), call="both", worker="async"),
            Calls(
                peer, Layer("channels memory", "channels"), call="both", worker="peer"
            ),
        ],
        [Target("at least", 1.5, name, peer) for name in (ours, ours_async)],
        part=0.4,
    )


def memory_groups():
    sizes, idle_channels = (10, 100, 1000, 10_000), (0, 10_000)
    options = {"expiry": 3600}
    layers = {
        "ours": Layer("memory", options=options),
        "channels": Layer("channels memory", "channels", options=options),
    }

    def name(whose, size, idle):
        return f"{whose}, {size:,} members, {idle:,} other channels"

    return LayerComparison(
        "memory, send_group: until all members have it",
        "µs a member",
        [
            MemoryGroup(name(whose, size, idle), layer, size, idle)
            for size in sizes
            for idle in idle_channels
            for whose, layer in layers.items()
            # Theirs looks at each channel for each member: it would take minutes.
            if whose == "ours" or size * (size + idle) <= 2_000_000
        ],
        [
            Target("at most", 1.2, name("ours", size, 10_000), name("ours", size, 0))
            for size in sizes
        ],
        digits=2,
        part=0.1,
    )


def ipc_stream():
    names = ("ours, inbox", "ours, normal channel")
    return LayerComparison(
        f"ipc, stream: 100-byte messages between two processes, batches of {BATCH}",
        "messages/s",
        [Stream(names[0], IPC), Stream(names[1], IPC, normal=True)],
        [Target("at least", 40_000, name, digits=0) for name in names],
    )


def lmdb_writes():
    alone = Layer(None, "lmdb", "folder")
    return LayerComparison(
        "ipc, LMDB alone: one write after the other, in /dev/shm",
        "writes/s of each process",
        [
            Calls("one process", alone, call="writes", worker="one"),
            Calls("two processes", alone, call="writes", worker="two", processes=2),
        ],
        [],
        part=0.3,
    )


def ipc_round_trip():
    return LayerComparison(
        "ipc, ping-pong: between two processes, p50",
        "ms",
        [
            RoundTrip("ipc, sync", IPC),
            RoundTrip("redis, sync", OURS),
            RoundTrip("ipc, async", IPC_ASYNC),
            RoundTrip("redis, async", OURS_ASYNC),
            RoundTrip("ipc, sync, normal channels", IPC, normal=True),
        ],
        [
            Target("at most", 0.5, f"ipc, {form}", f"redis, {form}")
            for form in ("sync", "async")
        ],
        digits=3,
        part=0.5,
    )


def database_stream():
    names = [
        f"{store}, {channel}"
        for store in ("PostgreSQL", "SQLite")
        for channel in ("inbox", "normal channel")
    ]
    layers = {"PostgreSQL": POSTGRES, "SQLite": SQLITE}
    return LayerComparison(
        f"database, stream: 100-byte messages between processes, batches of {BATCH}",
        "messages/s",
        [
            Stream(name, layers[name.partition(",")[0]], normal="normal" in name)
            for name in names
        ],
        [
            Target("at least", 2000 if "Postgre" in name else 1000, name, digits=0)
            for name in names
        ],
    )


def database_round_trip():
    return LayerComparison(
        "database, ping-pong: between two processes, p50",
        "ms",
        [
            RoundTrip("PostgreSQL, sync", POSTGRES),
            RoundTrip("PostgreSQL, sync, normal channels", POSTGRES, normal=True),
            RoundTrip("SQLite, sync", SQLITE),
            RoundTrip("SQLite, sync, normal channels", SQLITE, normal=True),
        ],
        [],
        digits=3,
        part=0.5,
    )


def idle():
    kinds = {
        "memory": (Layer("memory"), None),
        "ipc": (Layer("ipc", server="folder"), None),
        "redis": (Layer("redis", server="redis"), "redis"),
        "PostgreSQL": (Layer("database", server="postgres"), "postgres"),
        "SQLite": (Layer("database", server="sqlite"), None),
        PUBSUB: (CHANNELS_PUBSUB, "pubsub"),
        CORE: (CHANNELS_CORE, "core"),
    }
    return Idle(
        "every layer, idle: a reader in a thread and one on a loop",
        [
            Stream(name, layer, server_name=server or "shared")
            for name, (layer, server) in kinds.items()
        ],
    )
