"""
The database layer beside the application's transactions, and processes that die.
"""

import os
import signal
import sqlite3
from unittest import mock

from django.channels.backends.database import DatabaseChannelLayer
from django.channels.backends.sql_store.bells import can_read
from django.channels.backends.sql_store.running import MAX_CONFLICTS
from django.channels.exceptions import LayerUnavailable
from django.db import connections, transaction
from django.test import SimpleTestCase, override_settings, tag
from django.test.layer_conformance import children

from .databases import MariaDBTestCase, PostgreSQLTestCase, SQLiteTestCase
from .services.waiting import wait_for

SECRET = "content of a message"


class Failure(Exception):
    """What makes a view roll back."""


class TransactionTests:
    def setUp(self):
        super().setUp()
        self.layer = DatabaseChannelLayer(**self.get_options())
        self.addCleanup(self.layer.close)
        self.connection = connections[self.using]
        self.addCleanup(delattr, connections._connections, self.using)
        self.addCleanup(self.connection.close)
        with self.connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE app_{self.table} (number integer)")

    def write(self):
        """Have the application's connection hold a lock, in a transaction."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO app_{self.table} VALUES (1)")

    def test_a_rollback_loses_no_message_that_was_sent(self):
        with self.assertRaisesMessage(Failure, ""):
            with transaction.atomic(using=self.using):
                self.write()
                self.layer.send("a", {"n": 1})
                raise Failure
        self.assertEqual(self.layer.receive(["a"]), ("a", {"n": 1}))

    def test_a_rollback_revives_no_message_that_was_received(self):
        self.layer.send("a", {"n": 1})
        with self.assertRaisesMessage(Failure, ""):
            with transaction.atomic(using=self.using):
                self.write()
                self.assertEqual(self.layer.receive(["a"]), ("a", {"n": 1}))
                raise Failure
        self.assertEqual(self.layer.receive(["a"]), (None, None))

    def test_every_call_works_while_the_application_writes(self):
        layer = self.layer
        with transaction.atomic(using=self.using):
            self.write()
            name = layer.new_channel("inbox!")
            layer.group_add("group", name)
            layer.send_group("group", {"n": 1})
            self.assertEqual(layer.receive(["inbox!"]), (name, {"n": 1}))
            self.assertEqual(layer.statistics()["delivered_count"], 1)
            layer.flush()
            # Others do not see it yet, but not for the layer.
            self.write()
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM app_{self.table}")
            self.assertEqual(cursor.fetchone()[0], 2)

    def test_a_process_killed_in_a_transaction_leaves_nothing(self):
        layer = self.layer
        layer.send("a", {"n": 1})
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)

        def die():
            def work(step):
                # All of a take, but the commit.
                step.execute("DELETE FROM {entry}")
                step.execute("UPDATE {queue} SET pending = 0, delivered = 1")
                os.write(writing, b"x")
                signal.pause()

            layer._store._run(work)

        child = children.fork(die)
        self.addCleanup(child.end)
        # Otherwise the pipe has no end if the child fails.
        os.close(writing)
        self.assertEqual(os.read(reading, 1), b"x")
        child.end()
        self.assertEqual(layer.statistics("a")["messages_pending"], 1)
        self.assertEqual(layer.receive(["a"]), ("a", {"n": 1}))

    def test_a_step_that_fails_is_undone(self):
        store = self.layer._store
        self.layer.send("a", {"n": 1})

        def work(step):
            step.execute("DELETE FROM {entry}")
            raise Failure

        with self.assertRaisesMessage(Failure, ""):
            store._run(work)
        self.assertEqual(self.layer.receive(["a"]), ("a", {"n": 1}))

    @override_settings(DEBUG=True)
    def test_no_statement_of_the_layer_is_logged(self):
        with self.assertLogs("django.db.backends", "DEBUG") as logs:
            self.connection.cursor().execute("SELECT 1")
            self.layer.send("a", {"text": SECRET})
            self.layer.receive(["a"])
        self.assertIn("SELECT 1", str(logs.output))
        self.assertNotIn("payload", str(logs.output))
        self.assertNotIn(SECRET, str(logs.output))


class LossTests:
    """For databases with a server, by terminate(step), which ends its connection."""

    def test_a_connection_that_is_lost_in_a_transaction_is_replaced(self):
        tries = []

        def work(step):
            tries.append(step)
            if len(tries) == 1:
                self.terminate(step)
            return step.row("SELECT 1")

        result = self.layer._store._run(work)
        self.assertEqual((result, len(tries)), ((1,), 2))

    def test_a_connection_that_is_lost_again_and_again_is_reported(self):
        tries = []

        def work(step):
            tries.append(step)
            self.terminate(step)
            return step.row("SELECT 1")

        with self.assertRaisesMessage(LayerUnavailable, "is not available"):
            self.layer._store._run(work)
        self.assertEqual(len(tries), 2)

    def test_a_connection_that_is_lost_after_many_conflicts_is_reported(self):
        store, tries = self.layer._store, []

        def work(step):
            tries.append(step)
            if len(tries) == MAX_CONFLICTS:
                self.terminate(step)
            return step.row("SELECT 1 FROM missing")

        def is_conflict(error):
            return len(tries) < MAX_CONFLICTS

        with mock.patch.object(store._dialect, "is_conflict", is_conflict):
            with self.assertRaisesMessage(LayerUnavailable, "is not available"):
                store._run(work)
        self.assertEqual(len(tries), MAX_CONFLICTS)

    def test_what_may_be_committed_is_not_done_again(self):
        tries = []

        def work(step):
            tries.append(step)
            self.terminate(step)

        with self.assertRaisesMessage(LayerUnavailable, "is not available"):
            self.layer._store._run(work)
        with self.assertRaisesMessage(LayerUnavailable, "is not available"):
            self.layer._store._run(
                lambda step: work(step) or step.row("SELECT 1"), begin=False
            )
        self.assertEqual(len(tries), 2)


class SQLiteTransactionTests(TransactionTests, SQLiteTestCase, SimpleTestCase):
    def test_the_application_locks_its_own_file_only(self):
        with transaction.atomic(using=self.using):
            self.write()
            other = sqlite3.connect(self.database["NAME"], timeout=0)
            self.addCleanup(other.close)
            with self.assertRaisesMessage(sqlite3.OperationalError, "locked"):
                other.execute(f"INSERT INTO app_{self.table} VALUES (2)")
            self.layer.send("a", {})


class PostgreSQLTransactionTests(
    LossTests, TransactionTests, PostgreSQLTestCase, SimpleTestCase
):
    def test_a_process_that_stood_still_in_a_transaction_begins_it_again(self):
        """The server has ended it, for the sake of those who wait for its locks."""
        tries = []

        def work(step):
            tries.append(step)
            if len(tries) == 1:
                step.execute("SET idle_in_transaction_session_timeout = '1ms'")
                number = step.cursor.connection.fileno()
                wait_for(lambda: can_read(number), "the server says farewell")
            return step.row("SELECT 1")

        result = self.layer._store._run(work)
        self.assertEqual((result, len(tries)), ((1,), 2))

    def terminate(self, step):
        raw = step.cursor.connection
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [raw.info.backend_pid])
        wait_for(lambda: can_read(raw.fileno()), "the server says farewell")


@tag("full")
class MariaDBTransactionTests(
    LossTests, TransactionTests, MariaDBTestCase, SimpleTestCase
):
    def terminate(self, step):
        number = step.cursor.connection.thread_id()
        with self.connection.cursor() as cursor:
            cursor.execute("KILL %s", [number])
