"""
The store's calls for those who watch: counters, lists, flush.

In: store.py. Out: the scripts statistics, queues_known, groups_known and flush.
"""

from ..counters import KEYS, add_up
from ..shared.store import Store

# How many queues one script counts: a server does nothing else meanwhile.
CHUNK_QUEUES = 200


class CareCalls(Store):
    """The part of RedisStore that is about care."""

    def statistics(self, queue=None):
        if queue is not None:
            return self._count(self._shard_of(queue), [queue])[0][0]
        return add_up(statistics for statistics, _ in self.queues().values())

    def queues(self):
        found = {}
        for shard in self._shards:
            names = [name.decode() for name in shard.run("queues_known")]
            for i in range(0, len(names), CHUNK_QUEUES):
                chunk = names[i : i + CHUNK_QUEUES]
                found.update(zip(chunk, self._count(shard, chunk)))
        return found

    def _count(self, shard, names):
        """Return [(statistics, number of waiting processes), …]."""
        rows = shard.run("statistics", self._expiry_ms, *names)
        found = []
        for row in rows:
            # In the order of statistics.lua.
            statistics = dict(zip(KEYS, row))
            statistics["messages_max_age"] /= 1000
            found.append((statistics, row[-1]))
        return found

    def groups(self):
        found = {}
        for shard in self._shards:
            words = iter(shard.run("groups_known"))
            for name, inboxes, plain in zip(words, words, words):
                before = found.get(name.decode(), (0, 0))
                found[name.decode()] = (before[0] + inboxes, before[1] + plain)
        return found

    def describe(self):
        from .checks import describe_server

        return [describe_server(shard) for shard in self._shards]

    def check(self):
        """Return messages of django.core.checks on settings that break promises."""
        # Django's checks import models, which need more than a peer may have.
        from .checks import check_servers

        return check_servers(self._shards)

    def flush(self, control):
        for shard in self._shards:
            shard.run_once("flush", self._expiry_ms, control)
