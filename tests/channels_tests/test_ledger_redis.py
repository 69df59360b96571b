"""The ledger of the Redis layer."""

import contextlib

from django.channels.backends.redis_store.scripts import get_script
from django.test import SimpleTestCase, tag

from . import services
from .ledger.breaking import ServerScenarios
from .ledger.scenarios import (
    ClockScenarios,
    LeaseScenarios,
    LedgerTestCase,
    ProcessScenarios,
    WorkloadScenarios,
)

REDIS = "django.channels.backends.redis.RedisChannelLayer"
MAXIMUM_BYTES = 16 * 1024 * 1024
FILLER = "filler"
CHUNK_BYTES = 64 * 1024


class RedisLedgerTestCase(LedgerTestCase):
    layer = "redis"
    backend = REDIS


class RedisLedgerTests(
    WorkloadScenarios, ProcessScenarios, RedisLedgerTestCase, SimpleTestCase
):
    def config(self):
        prefix = f"{services.unique_name()}:"
        return {"hosts": [services.redis().url], "prefix": prefix}


@tag("full")
class RedisLongLedgerTests(
    LeaseScenarios,
    ClockScenarios,
    RedisLedgerTests,
):
    count = 500
    kills = 10


class RedisServerLedgerTests(ServerScenarios, RedisLedgerTestCase, SimpleTestCase):
    @property
    def requests(self):
        names = "append", "take", "send_group", "renew"
        return [get_script(name).sha.encode() for name in names]

    def make_server(self, **options):
        return services.redis(own=True, maxmemory=MAXIMUM_BYTES, **options)

    def config(self):
        url = self.server.url
        if self.proxy:
            url = f"redis://127.0.0.1:{self.proxy.port}/0"
        return {"hosts": [url]}

    def fill(self):
        import redis

        with self.server.client() as client:
            with contextlib.suppress(redis.exceptions.OutOfMemoryError):
                while True:
                    client.rpush(FILLER, b"x" * CHUNK_BYTES)

    def make_room(self):
        with self.server.client() as client:
            client.delete(FILLER)
