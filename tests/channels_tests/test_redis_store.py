"""The Redis store keeps the contract of stores, on one server."""

from django.channels.backends.redis_store.hosts import parse_hosts
from django.channels.backends.redis_store.store import RedisStore
from django.test import SimpleTestCase

from . import services
from .stores import StoreTests


class RedisStoreTests(StoreTests, SimpleTestCase):
    def setUp(self):
        self.server = services.redis()
        self.prefix = services.unique_name()

    def hosts(self):
        return [self.server.socket_url]

    def make_store(self, expiry=60):
        return RedisStore(parse_hosts(self.hosts()), self.prefix, expiry)

    def end(self, store):
        with self.server.client() as client:
            for shard in store._shards:
                client.delete(f"{shard.keys}p:{store.incarnation}")
