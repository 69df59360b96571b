"""The ledger of the Redis layer."""

from django.test import SimpleTestCase

from . import services
from .ledger.scenarios import LedgerTestCase, ProcessScenarios, WorkloadScenarios

REDIS = "django.channels.backends.redis.RedisChannelLayer"


class RedisLedgerTests(
    WorkloadScenarios, ProcessScenarios, LedgerTestCase, SimpleTestCase
):
    layer = "redis"
    backend = REDIS

    def config(self):
        prefix = f"{services.unique_name()}:"
        return {"hosts": [services.redis().url], "prefix": prefix}
