"""The command createchanneltable, and what layers do without their tables."""

from io import StringIO
from unittest import mock

from django.channels import channel_layers
from django.channels.backends.sql_store import schema
from django.channels.exceptions import LayerUnavailable
from django.core.management import CommandError, call_command
from django.test import SimpleTestCase

from .databases import PostgreSQLTestCase, SQLiteTestCase
from .layers import MEMORY

DATABASE = "django.channels.backends.database.DatabaseChannelLayer"


class CommandTestCase:
    """Three layers, one of them in memory, with tables of their own."""

    def setUp(self):
        super().setUp()
        self.options = {"default": self.get_options(), "other": self.get_options()}
        layers = {
            alias: {"BACKEND": DATABASE, "ROUTING": [], "CONFIG": options}
            for alias, options in self.options.items()
        }
        layers["memory"] = {"BACKEND": MEMORY, "ROUTING": []}
        self.enterContext(self.settings(CHANNEL_LAYERS=layers))

    def make_layer(self, alias="default"):
        layer = channel_layers.make_backend(alias).channel_layer
        self.addCleanup(layer.close)
        return layer

    def call(self, *args, **options):
        output = StringIO()
        call_command("createchanneltable", *args, stdout=output, **options)
        return output.getvalue()


class PostgreSQLCommandTests(CommandTestCase, PostgreSQLTestCase, SimpleTestCase):
    def setUp(self):
        super().setUp()
        # As everywhere but in tests, where tables make themselves.
        self.enterContext(mock.patch.object(schema, "in_tests", return_value=False))

    def test_without_tables_the_error_says_what_to_run(self):
        layer = self.make_layer()
        for call in (
            lambda: layer.send("a", {}),
            lambda: layer.receive(["a"], block=True, timeout=1),
            lambda: layer.check(reach=True),
        ):
            with self.assertRaisesMessage(LayerUnavailable, "createchanneltable"):
                call()

    def test_the_tables_of_all_layers_are_created_once(self):
        self.assertEqual(
            self.call(),
            "Tables of channel layer 'default' created.\n"
            "Tables of channel layer 'other' created.\n",
        )
        layer = self.make_layer()
        layer.send("a", {"n": 1})
        self.assertEqual(
            self.call(),
            "Tables of channel layer 'default' already exist.\n"
            "Tables of channel layer 'other' already exist.\n",
        )
        self.assertEqual(layer.receive(["a"]), ("a", {"n": 1}))

    def test_a_layer_in_use_works_when_its_tables_come(self):
        layer = self.make_layer()
        with self.assertRaisesMessage(LayerUnavailable, "has no tables"):
            layer.send("a", {})
        self.call(verbosity=0)
        layer.send("a", {})

    def test_layers_are_chosen_by_alias(self):
        self.assertEqual(
            self.call("other"), "Tables of channel layer 'other' created.\n"
        )
        self.make_layer("other").send("a", {})
        with self.assertRaisesMessage(LayerUnavailable, "has no tables"):
            self.make_layer().send("a", {})

    def test_layers_are_chosen_by_database(self):
        self.assertNotIn("created", self.call(database="default"))
        self.assertIn("created", self.call(database=self.using))

    def test_a_dry_run_prints_what_makes_the_tables(self):
        sql = self.call("default", dry_run=True)
        table = self.options["default"]["table"]
        self.assertIn(f'CREATE UNLOGGED TABLE IF NOT EXISTS "{table}_queue"', sql)
        self.assertIn(f'CREATE OR REPLACE FUNCTION "{table}_take"', sql)
        with self.assertRaisesMessage(LayerUnavailable, "has no tables"):
            self.make_layer().send("a", {})
        self.server.execute(sql, self.name)
        self.make_layer().send("a", {})

    def test_tables_of_another_version_are_replaced(self):
        self.call(verbosity=0)
        table = self.options["default"]["table"]
        self.server.execute(
            f"UPDATE {table}_meta SET value = '0' WHERE name = 'version'", self.name
        )
        with self.assertRaisesMessage(LayerUnavailable, "of another version"):
            self.make_layer().send("a", {})
        self.assertIn("created", self.call("default"))
        self.make_layer().send("a", {})

    def test_tables_that_somebody_emptied_are_used_again(self):
        self.call(verbosity=0)
        table = self.options["default"]["table"]
        self.server.execute(f"TRUNCATE {table}_meta, {table}_queue", self.name)
        self.make_layer().send("a", {"n": 1})
        self.assertEqual(self.make_layer().receive(["a"]), ("a", {"n": 1}))

    def test_other_layers_and_aliases_are_refused(self):
        with self.assertRaisesMessage(CommandError, "'memory' is not in a database"):
            self.call("memory")
        with self.assertRaisesMessage(CommandError, "'unknown' is not in"):
            self.call("unknown")

    def test_a_database_that_is_away_is_an_error(self):
        with mock.patch.dict(
            self.make_layer()._wrapper.settings_dict, {"HOST": "/nowhere"}
        ):
            with self.assertRaisesMessage(CommandError, "could not be created"):
                self.call()


class SQLiteCommandTests(CommandTestCase, SQLiteTestCase, SimpleTestCase):
    def setUp(self):
        super().setUp()
        self.enterContext(mock.patch.object(schema, "in_tests", return_value=False))

    def test_the_tables_make_themselves(self):
        self.make_layer().send("a", {"n": 1})
        self.assertIn("'default' already exist", self.call())
        self.assertEqual(self.make_layer().receive(["a"]), ("a", {"n": 1}))

    def test_it_says_when_there_is_nothing_to_create(self):
        output = self.call(database="other")
        self.assertEqual(output, "No channel layer is in other.\n")
        self.assertEqual(self.call(database="other", verbosity=0), "")
        with self.settings(CHANNEL_LAYERS={}):
            self.assertEqual(self.call(), "No channel layer is in a database.\n")

    def test_the_command_makes_them_as_well(self):
        self.assertIn("'default' created", self.call())
        self.make_layer().send("a", {})
