"""Where the tests of the Redis layer have their servers."""

from django.channels.backends.redis import RedisChannelLayer
from django.channels.backends.redis_store.hosts import parse_hosts
from django.channels.backends.redis_store.store import RedisStore
from django.test.channel_layers import ChannelLayerConformanceTests

from . import services


class OneRedis:
    """For a test case: stores on the Redis that all tests share."""

    def setUp(self):
        super().setUp()
        self.server = self.make_server()
        self.prefix = f"{services.unique_name()}:"

    def make_server(self):
        return services.redis()

    def hosts(self):
        return [self.server.socket_url]

    def make_store(self, expiry=60):
        return RedisStore(parse_hosts(self.hosts()), self.prefix, expiry)

    def end(self, store):
        for shard in store._shards:
            command(shard, "DEL", f"{shard.keys}p:{store.incarnation}")


class OneValkey(OneRedis):
    def make_server(self):
        return services.valkey()


class OneOldestRedis(OneRedis):
    def make_server(self):
        return services.oldest_redis()


class ByTLS(OneRedis):
    def make_server(self):
        server = services.redis(own=True, tls=True)
        self.addCleanup(server.stop)
        return server

    def hosts(self):
        return [self.server.url]


class TwoHosts(OneRedis):
    def hosts(self):
        port = services.redis().port
        return [("127.0.0.1", port), {"path": services.valkey().socket}]


class BySentinels(OneRedis):
    def make_server(self):
        return services.sentinel()

    def hosts(self):
        return {"sentinels": self.server.addresses, "master_name": self.server.name}


class InCluster(OneRedis):
    def make_server(self):
        return services.cluster()

    def hosts(self):
        return {"cluster": self.server.urls}


class RedisConformance(ChannelLayerConformanceTests):
    """The suite for layers, on the servers of one of the classes above."""

    layer_class = RedisChannelLayer

    def get_options(self):
        return {"hosts": self.hosts(), "prefix": f"{services.unique_name()}:"}

    def lose_data(self, layer):
        for shard in layer._store._shards:
            keys = command(shard, "KEYS", f"{shard.beginning}*")
            for key in keys:
                command(shard, "DEL", key)


def command(shard, *words):
    """Return a server's answer to a command."""
    wire = shard.lend()
    try:
        shard.open(wire)
        return wire.call(*words)
    finally:
        shard.give_back(wire)
