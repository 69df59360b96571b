"""The database layer on SQLite: the contracts, and what is its own."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

from django.channels.backends import database
from django.channels.backends.database import DatabaseChannelLayer
from django.channels.backends.sql_store import sqlite
from django.channels.exceptions import InvalidChannelLayerError, LayerUnavailable
from django.db import connections, transaction
from django.test import SimpleTestCase, TestCase
from django.test.channel_layers import ChannelLayerConformanceTests
from django.test.layer_conformance import children

from .databases import SQLiteTestCase, add_database
from .services.waiting import wait_for
from .stores import StoreTests
from .utils import TIMEOUT

MEMORY = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
POSTGRESQL = {"ENGINE": "django.db.backends.postgresql", "NAME": "x"}


class SQLiteStoreTests(SQLiteTestCase, StoreTests, SimpleTestCase):

    def test_a_life_that_begins_within_another_call_is_told(self):
        # The layer claims everything again when renew() says so, and only then.
        (store,) = self.stores(1)
        self.end(store)
        store._listener.close()
        store.take(["normal"], 1, wait=True)
        self.assertIs(store.renew(), False)
        self.assertIs(store.renew(), True)


class SQLiteConformanceTests(
    SQLiteTestCase, ChannelLayerConformanceTests, SimpleTestCase
):
    layer_class = DatabaseChannelLayer


class FileTests(SQLiteTestCase, SimpleTestCase):
    def make_layer(self, **options):
        layer = DatabaseChannelLayer(using=self.using, **options)
        self.addCleanup(layer.close)
        return layer

    def test_the_file_is_beside_the_databases(self):
        path = Path(f"{self.database['NAME']}-channels")
        layer = self.make_layer()
        self.assertFalse(path.exists())
        layer.send("a", {})
        self.assertTrue(path.exists())
        self.assertIn(str(path), "\n".join(layer.describe()))

    def test_a_database_in_memory_has_a_file_that_forks_share(self):
        add_database("memory", MEMORY)
        self.addCleanup(connections.settings.pop, "memory")
        layer = DatabaseChannelLayer(using="memory")
        self.addCleanup(layer.close)
        layer.send("a", {"n": 1})
        self.assertEqual(layer.check(), [])
        child = children.fork(lambda: layer.receive(["a"])[1])
        self.addCleanup(child.end)
        self.assertEqual(child.result(TIMEOUT), {"n": 1})

    def test_what_was_before_a_start_of_the_machine_is_gone(self):
        layer = self.make_layer(path=self.path)
        layer.send("a", {})
        layer.close()
        with mock.patch.object(sqlite, "boot", return_value="another"):
            self.assertEqual(layer.receive(["a"]), (None, None))
            self.assertEqual(layer.statistics()["messages_count"], 0)
            layer.close()

    def test_a_file_that_is_deleted_is_made_anew(self):
        store = self.make_layer(path=self.path)._store
        self.assertTrue(store.renew())
        store.append([("a", 9, [b"1"])])
        before = store.incarnation
        os.unlink(self.path)
        self.assertFalse(store.renew())
        self.assertNotEqual(store.incarnation, before)
        self.assertEqual(store.append([("a", 9, [b"2"])]), [1])
        self.assertEqual([e.payload for _, e in store.take(["a"], 9)], [b"2"])

    def test_a_file_that_is_no_database_is_left_alone(self):
        content = b"Something else, long enough to be taken for a database." * 20
        Path(self.path).write_bytes(content)
        layer = self.make_layer(path=self.path)
        with self.assertRaisesMessage(LayerUnavailable, "file is not a database"):
            layer.send("a", {})
        self.assertEqual(Path(self.path).read_bytes(), content)

    def test_a_long_path_can_be_rung(self):
        folder = self.folder / ("long-" * 30)
        folder.mkdir(exist_ok=True)
        self.path = str(folder / "layer")
        layers = [self.make_layer(path=self.path) for _ in range(2)]
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(layers[0].receive, ["a"], True, TIMEOUT)
            wait_for(lambda: layers[1].queues()["a"]["readers"], "it waits")
            self.assertTrue(layers[0]._store._listener._bell.has_socket)
            layers[1].send("a", {"n": 1})
            self.assertEqual(waiting.result(), ("a", {"n": 1}))

    def test_who_listens_as_the_bell_is_replaced_hears_what_rang(self):
        """Another thread may find that the lease is over, and open all anew."""
        store = self.make_layer(path=self.path)._store
        self.assertTrue(store.renew())
        store.take(["a"], 9, wait=True)
        bell = store._listener._bell

        def wait(*args):
            store._listener.close()
            bell.interrupt()
            return type(bell).wait(bell, *args)

        with mock.patch.object(bell, "wait", wait):
            self.assertEqual(store.listen(TIMEOUT), [])
        self.assertEqual(store.listen(TIMEOUT), [("a", None)])

    def test_a_full_file_refuses_whole_calls_and_takes_again(self):
        layer = self.make_layer(path=self.path, capacity=10_000)
        layer.send("a", {"n": 0})
        store = layer._store
        (connection,) = store._pool._free
        (pages,) = connection.raw.execute("PRAGMA page_count").fetchone()
        connection.raw.execute(f"PRAGMA max_page_count = {pages + 2}")
        batch = [("a", {"text": "x" * 1000}) for _ in range(100)]
        with self.assertRaisesMessage(LayerUnavailable, "full"):
            layer.send_batch(batch)
        self.assertEqual(layer.statistics("a")["messages_pending"], 1)
        # The connection was closed, and the limit with it.
        self.assertNotIn(connection, store._pool._free)
        self.assertEqual(layer.send_batch(batch), [None] * 100)
        self.assertEqual(len(layer.receive_batch(["a"], 1000)), 101)


class CheckTests(SQLiteTestCase, SimpleTestCase):
    def test_options_that_cannot_be_are_refused(self):
        add_database("server", POSTGRESQL)
        self.addCleanup(connections.settings.pop, "server")
        for options, text in (
            ({"using": "unknown"}, "using must be an alias of DATABASES"),
            ({"table": "a b"}, "table must be a name"),
            ({"table": "x" * 41}, "table must be a name"),
            ({"table": None}, "table must be a name"),
            ({"path": 1}, "path must be the absolute path of a file, not 1."),
            ({"path": ""}, "path must be the absolute path of a file, not ''."),
            ({"path": "x.db"}, "must be the absolute path of a file, not 'x.db'."),
            ({"using": "server", "path": "/x"}, "path is for SQLite"),
        ):
            with self.subTest(options=options):
                with self.assertRaisesMessage(InvalidChannelLayerError, text):
                    DatabaseChannelLayer(**{"using": self.using, **options})

    def test_other_databases_are_refused(self):
        wrapper = connections.create_connection(self.using)
        wrapper.vendor = "oracle"
        with mock.patch.object(connections, "create_connection", return_value=wrapper):
            with self.assertRaisesMessage(InvalidChannelLayerError, "is oracle"):
                DatabaseChannelLayer(using=self.using)

    def test_the_file_of_the_application_is_an_error(self):
        layer = DatabaseChannelLayer(using=self.using, path=self.database["NAME"])
        (message,) = layer.check()
        self.assertEqual(message.id, "channels.database.E001")
        self.assertEqual(DatabaseChannelLayer(using=self.using).check(), [])

    def test_a_database_in_memory_is_warned_of(self):
        add_database("memory", MEMORY)
        self.addCleanup(connections.settings.pop, "memory")
        with mock.patch.object(database, "in_tests", return_value=False):
            (message,) = DatabaseChannelLayer(using="memory").check()
        self.assertEqual(message.id, "channels.database.W001")


class ApplicationTestCaseTests(TestCase):
    """A test of an application needs nothing for a layer in its test database."""

    def setUp(self):
        self.layer = DatabaseChannelLayer()
        self.addCleanup(self.layer.close)
        self.addCleanup(self.layer.flush)

    def test_a_layer_works_in_the_transaction_of_a_test(self):
        self.assertTrue(transaction.get_connection().in_atomic_block)
        self.layer.send("a", {"n": 1})
        with ThreadPoolExecutor(1) as pool:
            pair = pool.submit(self.layer.receive, ["a"]).result()
        self.assertEqual(pair, ("a", {"n": 1}))

    def test_a_transaction_of_a_test_that_is_rolled_back_keeps_messages(self):
        with transaction.atomic():
            self.layer.send("a", {"n": 1})
            transaction.set_rollback(True)
        self.assertEqual(self.layer.receive(["a"]), ("a", {"n": 1}))

    def test_sync_calls_work_beside_a_running_loop(self):
        async def main():
            self.layer.send("a", {"n": 1})
            return self.layer.receive(["a"])

        self.assertEqual(asyncio.run(main()), ("a", {"n": 1}))
