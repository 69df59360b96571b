"""The conformance suite by eight callers at a time, on layers with a server."""

from django.channels.backends.database import DatabaseChannelLayer
from django.test import SimpleTestCase, tag
from django.test.channel_layers import ChannelLayerConformanceTests

from .databases import MariaDBTestCase, PostgreSQLTestCase, SQLiteTestCase
from .redis_stores import (
    BySentinels,
    InCluster,
    OneOldestRedis,
    OneRedis,
    OneValkey,
    RedisConformance,
    TwoHosts,
)


class DatabaseConformance(ChannelLayerConformanceTests):
    layer_class = DatabaseChannelLayer


class SQLiteCallerTests(SQLiteTestCase, DatabaseConformance, SimpleTestCase):
    callers = 8


class PostgreSQLCallerTests(PostgreSQLTestCase, DatabaseConformance, SimpleTestCase):
    callers = 8


@tag("full")
class MariaDBCallerTests(MariaDBTestCase, DatabaseConformance, SimpleTestCase):
    callers = 8


class RedisCallerTests(OneRedis, RedisConformance, SimpleTestCase):
    callers = 8


@tag("full")
class OldestRedisCallerTests(OneOldestRedis, RedisConformance, SimpleTestCase):
    callers = 8


@tag("full")
class ValkeyCallerTests(OneValkey, RedisConformance, SimpleTestCase):
    callers = 8


@tag("full")
class TwoHostsCallerTests(TwoHosts, RedisConformance, SimpleTestCase):
    callers = 8


@tag("full")
class SentinelCallerTests(BySentinels, RedisConformance, SimpleTestCase):
    callers = 8


@tag("full")
class ClusterCallerTests(InCluster, RedisConformance, SimpleTestCase):
    callers = 8
