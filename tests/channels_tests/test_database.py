"""The database layer on SQLite: the contracts, and what is its own."""

from django.channels.backends.database import DatabaseChannelLayer
from django.test import SimpleTestCase
from django.test.channel_layers import ChannelLayerConformanceTests

from .databases import SQLiteTestCase
from .stores import StoreTests


class SQLiteStoreTests(SQLiteTestCase, StoreTests, SimpleTestCase):
    pass


class SQLiteConformanceTests(
    SQLiteTestCase, ChannelLayerConformanceTests, SimpleTestCase
):
    layer_class = DatabaseChannelLayer
