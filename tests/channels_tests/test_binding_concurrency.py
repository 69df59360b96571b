"""Bindings while others change the same instance, on a database that locks rows."""

import threading
from contextlib import contextmanager
from unittest import mock

from django.db import connections, transaction
from django.test import SimpleTestCase, override_settings

from .bindings import BindingTests, NoteBinding
from .databases import PostgreSQLTestCase
from .models import Label, Note
from .services.waiting import wait_for
from .utils import TIMEOUT

WAITING = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted"


class ConcurrencyTests(BindingTests, PostgreSQLTestCase, SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        connection = connections[cls.using]
        cls.addClassCleanup(delattr, connections._connections, cls.using)
        cls.addClassCleanup(connection.close)
        with connection.schema_editor() as editor:
            for model in Label, Note:
                editor.create_model(model)

    def setUp(self):
        super().setUp()
        router = mock.Mock(spec=["db_for_write", "db_for_read", "allow_relation"])
        router.db_for_write.return_value = router.db_for_read.return_value = self.using
        context = override_settings(DATABASE_ROUTERS=[router])
        context.enable()
        self.addCleanup(context.disable)
        self.note = Note.objects.create(room="a", text="one")
        self.actions("a")

    @contextmanager
    def meanwhile(self, function):
        """
        Run a function in a thread, which has to wait for the block's transaction.
        """

        def run():
            try:
                function()
            finally:
                connections[self.using].close()

        thread = threading.Thread(target=run, daemon=True)
        with transaction.atomic(using=self.using):
            yield
            thread.start()
            with connections[self.using].cursor() as cursor:
                wait_for(
                    lambda: cursor.execute(WAITING).fetchone()[0] > 0,
                    "the other one waits for the row",
                )
        thread.join(TIMEOUT)
        self.assertFalse(thread.is_alive())

    def test_a_group_that_an_instance_came_to_meanwhile_sees_it_leave(self):
        def move():
            with transaction.atomic(using=self.using):
                note = Note.objects.get(pk=self.note.pk)
                note.room = "c"
                note.save()

        with self.meanwhile(move):
            self.note.room = "b"
            self.note.save()
        self.assertEqual(self.actions("a"), [("delete", "one")])
        # In either order: what is sent after one commit may be later than after the
        # next one.
        actions = [action for action, _ in self.actions("b")]
        self.assertCountEqual(actions, ["create", "delete"])
        self.assertEqual([action for action, _ in self.actions("c")], ["create"])

    def test_two_clients_change_two_fields(self):
        def change():
            NoteBinding().update(self.note.pk, {"count": 2})

        with self.meanwhile(change):
            NoteBinding().update(self.note.pk, {"text": "two"})
        self.note.refresh_from_db()
        self.assertEqual((self.note.text, self.note.count), ("two", 2))
