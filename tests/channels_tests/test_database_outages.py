"""The database layer while its server restarts, crashes or drops the database."""

import threading
from unittest import mock

from django.channels.backends.database import DatabaseChannelLayer
from django.channels.backends.sql_store import lives, processes
from django.channels.exceptions import LayerUnavailable
from django.db import connections
from django.test import SimpleTestCase

from . import services
from .databases import PostgreSQLTestCase
from .processes import PATIENCE_SECONDS
from .services.waiting import wait_for
from .utils import TIMEOUT, patch_for


class RestartTests(PostgreSQLTestCase, SimpleTestCase):
    """On a server that nobody else uses."""

    @classmethod
    def start(cls):
        server = services.postgres(own=True)
        cls.addClassCleanup(server.stop)
        return server

    def setUp(self):
        super().setUp()
        # Longer than any restart takes.
        patch_for(self, processes, "LEASE_SECONDS", 2 * PATIENCE_SECONDS)

    def make_layer(self):
        layer = DatabaseChannelLayer(using=self.using, table=self.table)
        self.addCleanup(layer.close)
        return layer

    def test_a_restart_loses_nothing(self):
        layer = self.make_layer()
        gap = threading.Event()
        layer.on_gap(gap.set)
        name = layer.new_channel("inbox!")
        layer.group_add("group", name)
        layer.receive(["inbox!"])
        layer.send("a", {"n": 1})
        self.server.restart()
        self.assertEqual(layer.receive(["a"]), ("a", {"n": 1}))
        layer.send_group("group", {"n": 2})
        pair = layer.receive(["inbox!"], block=True, timeout=TIMEOUT)
        self.assertEqual(pair, (name, {"n": 2}))
        self.assertTrue(layer._store.renew())
        self.assertFalse(gap.is_set())

    def test_a_server_with_older_data_brings_no_message_again(self):
        layer = self.make_layer()
        layer.receive(["inbox!"])
        layer.send_batch([("a", {"n": n}) for n in range(5)])
        snapshot = self.server.snapshot()
        received = [m["n"] for _, m in layer.receive_batch(["a"], 3)]
        self.assertEqual(received, [0, 1, 2])
        gap = threading.Event()
        layer.on_gap(gap.set)
        # As much later as the server's records can tell.
        schema = layer._store.schema
        late = schema.proof[1] + 2 * lives.SECOND
        wait_for(lambda: schema.proof[1] > late, "the lease is renewed twice")
        self.server.restart(snapshot)
        self.assertTrue(gap.wait(TIMEOUT))
        self.assertEqual(layer.receive(["a"]), (None, None))

    def test_nobody_goes_on_with_data_that_nobody_knows(self):
        """Whoever has a lease has some seconds to say that nothing is missing."""
        layer = self.make_layer()
        layer.send("a", {"n": 1})
        layer.close()
        self.server.restart()
        with (
            mock.patch.object(lives, "DOUBT_SECONDS", PATIENCE_SECONDS),
            self.assertRaisesMessage(LayerUnavailable, "has just started"),
        ):
            self.make_layer().receive(["a"])
        with mock.patch.object(lives, "DOUBT_SECONDS", 0):
            self.assertEqual(self.make_layer().receive(["a"]), (None, None))

    def test_rings_are_heard_after_a_restart(self):
        one, two = self.make_store(), self.make_store()
        for store in (one, two):
            self.addCleanup(store.close)
            store.renew()
        self.assertEqual(one.take(["a"], 9, wait=True), [])
        self.server.restart()
        # What comes before it listens again is not missed.
        two.append([("a", 9, [b"1"])])
        with self.assertRaisesMessage(LayerUnavailable, "PostgreSQL database"):
            one.listen(TIMEOUT)
        self.assertEqual(one.listen(TIMEOUT), [("a", None)])
        one.take(["a"], 9)
        one.take(["a"], 9, wait=True)
        two.append([("a", 9, [b"2"])])
        self.assertEqual(one.listen(TIMEOUT), [("a", None)])

    def test_a_connection_is_not_shared_before_it_listens(self):
        """Another thread would read the answer that is waited for."""
        store = self.make_store()
        self.addCleanup(store.close)
        store.renew()
        dialect, listener, shared = store._dialect, store._listener, []

        def cursor(raw):
            shared.append(listener._raw)
            return type(dialect).cursor(dialect, raw)

        with mock.patch.object(dialect, "cursor", cursor):
            listener.open("another-name", None)
        self.assertEqual(set(shared), {None})
        self.assertIsNotNone(listener._raw)

    def test_a_listener_that_cannot_connect_is_not_open(self):
        store = self.make_store()
        self.addCleanup(store.close)
        store.renew()
        self.server.terminate()
        with self.assertRaisesMessage(LayerUnavailable, "PostgreSQL database"):
            store._listener.open("another-name", None)
        self.assertFalse(store._listener.is_open)
        self.server.start()
        self.assertTrue(store.renew())
        self.assertEqual(store.take(["a"], 9, wait=True), [])
        store.append([("a", 9, [b"1"])])
        self.assertEqual(store.listen(TIMEOUT), [("a", None)])

    def test_a_crash_brings_no_message_again_and_is_told(self):
        layer = self.make_layer()
        layer.receive(["inbox!"])
        gap = threading.Event()
        layer.on_gap(gap.set)
        layer.send_batch([("a", {"n": n}) for n in range(5)])
        layer.receive(["a"])
        self.server.kill()
        with self.assertRaisesMessage(LayerUnavailable, "PostgreSQL database"):
            layer.send("a", {})
        self.server.start()
        self.assertTrue(gap.wait(TIMEOUT))
        self.assertEqual(layer.receive(["a"]), (None, None))
        layer.send("a", {"n": 6})
        self.assertEqual(layer.receive(["a"]), ("a", {"n": 6}))

    def test_errors_name_no_password(self):
        settings = connections.settings[self.using]
        self.addCleanup(settings.update, dict(settings))
        settings.update(PASSWORD="a secret", USER="nobody-known")
        layer = self.make_layer()
        with self.assertRaisesMessage(LayerUnavailable, self.name) as caught:
            layer.send("a", {"text": "content"})
        self.assertNotIn("a secret", str(caught.exception))
        self.assertNotIn("content", str(caught.exception))


class TestDatabaseTests(PostgreSQLTestCase, SimpleTestCase):
    def test_a_test_database_can_be_copied_and_deleted_while_a_layer_is_used(self):
        layer = DatabaseChannelLayer(**self.get_options())
        self.addCleanup(layer.close)
        thread = threading.Thread(target=self.wait, args=(layer,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(layer.close)
        wait_for(lambda: layer.queues()["a"]["readers"], "it waits")
        creation = connections.create_connection(self.using).creation
        creation._clone_test_db(1, verbosity=0)
        self.addCleanup(self.server.drop_database, f"{self.name}_1")
        layer.send("b", {})
        creation._destroy_test_db(self.name, verbosity=0)
        with self.assertRaisesMessage(LayerUnavailable, "is deleted or copied"):
            layer.send("b", {})

    def wait(self, layer):
        try:
            layer.receive(["a"], block=True, timeout=TIMEOUT)
        except LayerUnavailable:
            # The database is gone.
            pass
