"""The Redis layer keeps the contract, on one server, and what is its own."""

from django.test import SimpleTestCase

from .redis_stores import OneRedis, RedisConformance


class RedisConformanceTests(OneRedis, RedisConformance, SimpleTestCase):
    def stop_store(self, layer):
        self.server.kill()
        self.addCleanup(self.start_store, layer)

    def start_store(self, layer):
        if not self.server.running:
            self.server.restart()
