"""The tables stay small, and rings find their way, whoever dies."""

import os
import tempfile
from unittest import mock

from django.channels.backends.shared.store import SINGLE_READER_MEMORY_SECONDS
from django.channels.backends.sql_store import bells, listening
from django.channels.backends.sql_store.queues import SECOND
from django.test import SimpleTestCase, tag

from .databases import MariaDBTestCase, PostgreSQLTestCase, SQLiteTestCase
from .utils import TIMEOUT

TABLES = ("queue", "entry", "member", "missed", "waiter", "process")


class PruningTests:
    def stores(self, count, **options):
        """Return stores with a lease each."""
        stores = [self.make_store(**options) for _ in range(count)]
        for store in stores:
            self.addCleanup(store.close)
            store.renew()
        return stores

    def count(self, store, table):
        """Return how many rows are in a table."""
        sql = f"SELECT COUNT(*) FROM {{{table}}}"
        return store._run(lambda step: step.row(sql))[0]

    def prune(self, store):
        """Have a store clear up, as it does after some time."""
        self.execute(store, "UPDATE {meta} SET number = 0 WHERE name = 'pruned'")
        store._prune()

    def make_old(self, store):
        """Let all that is there have been used long ago."""
        self.execute(store, "UPDATE {queue} SET used = 0")

    def test_what_expired_is_deleted_and_counted(self):
        (store,) = self.stores(1)
        store.append([(f"one?{n}", 9, [b"x"]) for n in range(3)])
        self.execute(store, "UPDATE {entry} SET deadline = 0")
        self.execute(store, "UPDATE {queue} SET soonest = 0")
        self.prune(store)
        self.assertEqual(self.count(store, "entry"), 0)
        sums = store._run(
            lambda step: step.row("SELECT SUM(expired), SUM(pending) FROM {queue}")
        )
        self.assertEqual(list(map(int, sums)), [3, 0])

    def test_queues_that_nobody_uses_are_forgotten(self):
        (store,) = self.stores(1)
        store.append([("a", 9, [b"x"]), ("b", 9, [b"x"]), ("one?c", 9, [b"x"])])
        store.take(["a", "one?c"], 9)
        self.prune(store)
        self.assertEqual(self.count(store, "queue"), 3)
        self.make_old(store)
        self.prune(store)
        # A message waits in the other one.
        self.assertEqual(set(store.queues()), {"b"})

    def test_single_reader_channels_are_forgotten_sooner(self):
        (store,) = self.stores(1)
        names = ["a", "one?a", "one?b", "one?c"]
        store.append([(name, 9, [b"x"]) for name in names])
        store.take(["a", "one?a", "one?b"], 9)
        store.take(["one?b"], 9, wait=True)
        self.prune(store)
        self.assertEqual(self.count(store, "queue"), 4)
        age = SINGLE_READER_MEMORY_SECONDS * SECOND
        self.execute(store, f"UPDATE {{queue}} SET used = used - {age}")
        self.prune(store)
        # The others are a normal channel, one that is waited for, and one in use.
        self.assertEqual(set(store.queues()), {"a", "one?b", "one?c"})

    def test_what_is_waited_for_claimed_or_in_a_group_is_not_forgotten(self):
        (store,) = self.stores(1)
        store.take(["waited"], 9, wait=True)
        store.claim([], ["claimed!"])
        store.append([("member", 9, [b"x"])])
        store.take(["member"], 9)
        store.add("group", "member", 9, 60)
        self.make_old(store)
        self.prune(store)
        self.assertEqual(set(store.queues()), {"waited", "claimed!", "member"})

    def test_a_dead_process_leaves_nothing(self):
        store, dead = self.stores(2)
        dead.claim([("group", "inbox!", 9, 1)], ["inbox!"])
        dead.take(["a", "inbox!"], 9, wait=True)
        store.register("group", "inbox!", 9, b"add")
        store.add("other", "plain", 9, 60)
        self.execute(store, "UPDATE {member} SET until = 0 WHERE name = 'plain'")
        self.end(dead)
        self.make_old(store)
        self.prune(store)
        counts = {table: self.count(store, table) for table in TABLES}
        self.assertEqual(counts, dict.fromkeys(TABLES, 0) | {"process": 1})

    def test_control_entries_wait_for_the_first_claim(self):
        (store,) = self.stores(1)
        store.register("group", "inbox!", 9, b"add")
        self.execute(store, "UPDATE {queue} SET used = used - 7200000000")
        self.prune(store)
        taken = store.take(["inbox!"], 9)
        self.assertEqual([entry.payload for _, entry in taken], [b"add"])

    def test_one_process_clears_up_for_all(self):
        one, two = self.stores(2)
        self.execute(one, "UPDATE {meta} SET number = 0 WHERE name = 'pruned'")
        self.assertTrue(one._run(one._processes.is_time))
        self.assertFalse(two._run(two._processes.is_time))

    def test_whoever_uses_the_store_clears_up(self):
        store, dead = self.stores(2)
        self.end(dead)
        self.execute(store, "UPDATE {meta} SET number = 0 WHERE name = 'pruned'")
        store._prune_at = 0
        store.append([("a", 9, [b"x"])])
        self.assertEqual(self.count(store, "process"), 1)


class DatagramTests(PruningTests):
    def test_the_socket_of_a_dead_process_is_deleted(self):
        store, dead = self.stores(2)
        path = dead._listener._bell._path
        self.assertTrue(os.path.exists(path))
        self.end(dead)
        self.prune(store)
        self.assertFalse(os.path.exists(path))

    def test_a_ring_for_a_process_that_was_killed_goes_to_the_next(self):
        store, dead, other = self.stores(3)
        dead.take(["a"], 9, wait=True)
        other.take(["a"], 9, wait=True)
        os.unlink(dead._listener._bell._path)
        store.append([("a", 9, [b"x"])])
        self.assertEqual(other.listen(TIMEOUT), [("a", None)])

    def test_more_rings_than_a_socket_holds_are_all_heard(self):
        store, reader = self.stores(2)
        names = [f"queue.{n}" for n in range(1000)]
        reader.take(names, 9, wait=True)
        store.append([(name, 9, [b"x"]) for name in names])
        heard = set()
        while len(heard) < len(names):
            rings = reader.listen(TIMEOUT)
            self.assertTrue(rings)
            heard |= {name for name, _ in rings}

    def test_without_sockets_the_database_is_asked(self):
        with mock.patch.object(listening, "can_ring", return_value=False):
            store, reader = self.stores(2)
        self.assertFalse(reader._listener._bell.has_socket)
        reader.take(["a"], 9, wait=True)
        self.assertEqual(reader.listen(0.05), [])
        store.append([("a", 9, [b"x"])])
        self.assertEqual(reader.listen(TIMEOUT), [("a", None)])
        self.assertEqual(reader.listen(0.05), [])

    def test_a_folder_of_somebody_else_is_not_used(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        with (
            mock.patch.object(bells.tempfile, "gettempdir", return_value=folder),
            mock.patch.object(bells.os, "getuid", return_value=123456),
            self.assertRaisesMessage(OSError, "is not a folder of this user"),
        ):
            bells.private_folder()


class SQLitePruningTests(DatagramTests, SQLiteTestCase, SimpleTestCase):
    pass


class PostgreSQLPruningTests(PruningTests, PostgreSQLTestCase, SimpleTestCase):
    pass


@tag("full")
class MariaDBPruningTests(DatagramTests, MariaDBTestCase, SimpleTestCase):
    pass
