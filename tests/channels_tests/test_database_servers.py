"""The database layer on PostgreSQL and MariaDB keeps the contracts."""

from django.channels.backends.database import DatabaseChannelLayer
from django.test import SimpleTestCase, tag
from django.test.channel_layers import ChannelLayerConformanceTests

from .databases import MariaDBTestCase, PostgreSQLTestCase
from .stores import StoreTests


class PostgreSQLStoreTests(PostgreSQLTestCase, StoreTests, SimpleTestCase):
    pass


class PostgreSQLConformanceTests(
    PostgreSQLTestCase, ChannelLayerConformanceTests, SimpleTestCase
):
    layer_class = DatabaseChannelLayer


@tag("full")
class MariaDBStoreTests(MariaDBTestCase, StoreTests, SimpleTestCase):
    pass


@tag("full")
class MariaDBConformanceTests(
    MariaDBTestCase, ChannelLayerConformanceTests, SimpleTestCase
):
    layer_class = DatabaseChannelLayer
