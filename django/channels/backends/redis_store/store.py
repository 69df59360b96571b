"""
The store of the Redis layer: what each call means for the shards.

In: calls of the shared layer, in any thread. Out: shards.py and listener.py, one
script for each call and shard. specs/redis.rst has the keys and the scripts.
"""

import hashlib
import secrets
from functools import lru_cache

from django.channels.exceptions import LayerUnavailable
from django.channels.names import new_name

from .care import CareCalls
from .groups import GroupCalls
from .processes import ProcessCalls
from .queues import QueueCalls
from .shards import Shard


class RedisStore(QueueCalls, GroupCalls, ProcessCalls, CareCalls):
    """One process on the shards; ``servers`` is what parse_hosts() returns."""

    reads_inboxes = True

    def __init__(self, servers, prefix, expiry):
        self.expiry = expiry
        self._expiry_ms = max(int(expiry * 1000), 1)
        self.incarnation = new_name("redis?")
        # What inboxes know this store as, for as long as it is there.
        self._name = secrets.token_hex(8)
        self._shards = [
            Shard(server, prefix, tag, number)
            for number, (server, tag) in enumerate(servers)
        ]
        self._find = lru_cache(maxsize=4096)(self._find_shard)
        self._start_queues()
        self._start_processes()

    def _shard_of(self, queue):
        """Return the shard of a queue."""
        if len(self._shards) == 1:
            return self._shards[0]
        return self._find(queue)

    def _find_shard(self, queue):
        # Each shard has a rank for each queue: without one, the others' stay.
        def rank(shard):
            text = f"{shard.epoch_key} {shard.server.identity} {queue}"
            return hashlib.blake2b(text.encode(), digest_size=8).digest()

        return max(self._shards, key=rank)

    def _by_shard(self, names):
        """Return {shard: [name, …]}."""
        parts = {}
        for name in names:
            parts.setdefault(self._shard_of(name), []).append(name)
        return parts

    def _on_all(self, function, *args):
        """
        Return what a function returns for each shard.

        If it raises for some of them, it is called for the others all the same.
        """
        results, failure = [], None
        for shard in self._shards:
            try:
                results.append(function(shard, *args))
            except LayerUnavailable as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return results

    def close(self):
        self._stop_processes()
        for shard in self._shards:
            shard.close()

    def leave(self):
        self._leave_processes()
        for shard in self._shards:
            shard.leave()
