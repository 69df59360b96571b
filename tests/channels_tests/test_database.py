"""The database layer on SQLite: the contracts, and what is its own."""

import tempfile
from pathlib import Path

from django.channels.backends.database import DatabaseChannelLayer
from django.channels.backends.sql_store.sqlite import SQLite
from django.channels.backends.sql_store.store import SQLStore
from django.db import connections
from django.test import SimpleTestCase
from django.test.channel_layers import ChannelLayerConformanceTests

from .stores import StoreTests


def end_lease(store):
    """End the lease of a store's process, as time does."""
    store._run(
        lambda step: step.execute(
            "UPDATE {process} SET lease = 0 WHERE incarnation = %s",
            (store.incarnation,),
        )
    )


class SQLiteStoreTests(StoreTests, SimpleTestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "layer")

    def make_store(self, expiry=60):
        dialect = SQLite(connections.create_connection("default"), self.path)
        return SQLStore(dialect, "default", "django_channels", expiry)

    def end(self, store):
        end_lease(store)


class SQLiteConformanceTests(ChannelLayerConformanceTests, SimpleTestCase):
    def get_layer(self, **options):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return DatabaseChannelLayer(path=Path(folder.name, "layer"), **options)
