"""The Redis layer on every kind of server keeps the contract."""

from unittest import mock

from django.channels.backends.redis_store import listener, replies, wire
from django.test import SimpleTestCase, tag

from .redis_stores import (
    BySentinels,
    ByTLS,
    InCluster,
    OneOldestRedis,
    OneRedis,
    OneValkey,
    RedisConformance,
    TwoHosts,
)
from .stores import StoreTests


@tag("full")
class OldestRedisStoreTests(OneOldestRedis, StoreTests, SimpleTestCase):
    pass


@tag("full")
class ValkeyStoreTests(OneValkey, StoreTests, SimpleTestCase):
    pass


@tag("full")
class TLSStoreTests(ByTLS, StoreTests, SimpleTestCase):
    pass


@tag("full")
class TwoHostsStoreTests(TwoHosts, StoreTests, SimpleTestCase):
    pass


@tag("full")
class SentinelStoreTests(BySentinels, StoreTests, SimpleTestCase):
    pass


@tag("full")
class ClusterStoreTests(InCluster, StoreTests, SimpleTestCase):
    pass


@tag("full")
class NoHiredisStoreTests(OneRedis, StoreTests, SimpleTestCase):
    """Without hiredis, replies are read in Python."""

    def setUp(self):
        super().setUp()
        for module, name, value in (
            (wire, "make_reader", replies.ReplyReader),
            (wire, "pack", replies.pack),
            (listener, "pack", replies.pack),
        ):
            patcher = mock.patch.object(module, name, value)
            patcher.start()
            self.addCleanup(patcher.stop)


@tag("full")
class OldestRedisConformanceTests(OneOldestRedis, RedisConformance, SimpleTestCase):
    pass


@tag("full")
class ValkeyConformanceTests(OneValkey, RedisConformance, SimpleTestCase):
    pass


@tag("full")
class TwoHostsConformanceTests(TwoHosts, RedisConformance, SimpleTestCase):
    pass


@tag("full")
class SentinelConformanceTests(BySentinels, RedisConformance, SimpleTestCase):
    pass


@tag("full")
class ClusterConformanceTests(InCluster, RedisConformance, SimpleTestCase):
    pass
