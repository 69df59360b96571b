"""The ledger of the Redis layer."""

import contextlib

from django.channels.backends.redis_store.scripts import get_script
from django.test import SimpleTestCase, tag

from . import services
from .ledger import scenarios
from .ledger.breaking import ServerScenarios
from .ledger.cases import LedgerTestCase
from .ledger.journal import now

REDIS = "django.channels.backends.redis.RedisChannelLayer"
MAXIMUM_BYTES = 16 * 1024 * 1024
FILLER = "filler"
CHUNK_BYTES = 64 * 1024


class RedisLedgerTestCase(LedgerTestCase):
    layer = "redis"
    backend = REDIS


@tag("slow")
class RedisLedgerTests(
    scenarios.WorkloadScenarios,
    scenarios.ProcessScenarios,
    RedisLedgerTestCase,
    SimpleTestCase,
):
    def config(self):
        prefix = f"{services.unique_name()}:"
        return {"hosts": [services.redis().url], "prefix": prefix}


@tag("full")
class RedisLongLedgerTests(
    scenarios.LeaseScenarios,
    scenarios.ClockScenarios,
    RedisLedgerTests,
):
    count = 500
    kills = 10


@tag("full")
class OldestRedisLedgerTests(RedisLedgerTests):
    def config(self):
        prefix = services.unique_name()
        return {"hosts": [services.oldest_redis().url], "prefix": prefix}


@tag("full")
class ValkeyLedgerTests(RedisLedgerTests):
    def config(self):
        return {"hosts": [services.valkey().url], "prefix": services.unique_name()}


@tag("full")
class ClusterLedgerTests(RedisLedgerTests):
    def config(self):
        hosts = {"cluster": services.cluster().urls}
        return {"hosts": hosts, "prefix": services.unique_name()}


@tag("full")
class SentinelLedgerTests(RedisLedgerTests):
    def config(self):
        setup = services.sentinel()
        hosts = {"sentinels": setup.addresses, "master_name": setup.name}
        return {"hosts": hosts, "prefix": services.unique_name()}

    def test_a_replica_that_takes_over(self):
        for kill in (False, True):
            with self.subTest(kill=kill), self.make_ledger() as ledger:
                one, two, three = self.programs(ledger, 3)
                for program, name in (one, "m1"), (two, "m2"):
                    program.play("member", name, groups=scenarios.GROUPS)
                    program.play(
                        "reader", f"{name}r", channels=scenarios.NORMAL, limit=3
                    )
                ledger.members_ready("m1", "m2")
                options = {"channels": scenarios.NORMAL, "groups": scenarios.GROUPS}
                three.play("writer", "w1", **options, pace=scenarios.PACE_SECONDS)
                ledger.progress(100)
                with ledger.broken():
                    services.sentinel().failover(kill=kill)
                ledger.reaches(now(), "m1", "m2")
                ledger.progress(100)
                ledger.finish()
                self.assertBooksAgree(ledger, "store empty")
                services.sentinel().restart()


@tag("slow")
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
            # What readers take makes room for a little: there is to be none.
            self.limit = client.config_get("maxmemory")["maxmemory"]
            client.config_set("maxmemory", 1)

    def make_room(self):
        with self.server.client() as client:
            client.config_set("maxmemory", self.limit)
            client.delete(FILLER)
