"""The ledger of the database layer, on SQLite and on PostgreSQL."""

import tempfile
from pathlib import Path

from django.test import SimpleTestCase

from . import services
from .ledger.scenarios import LedgerTestCase, ProcessScenarios, WorkloadScenarios

DATABASE = "django.channels.backends.database.DatabaseChannelLayer"


class DatabaseLedgerTests(WorkloadScenarios, ProcessScenarios, LedgerTestCase):
    layer = "database"
    backend = DATABASE


class SQLiteLedgerTests(DatabaseLedgerTests, SimpleTestCase):
    count = 30

    def database_settings(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        name = str(Path(folder.name, "application.sqlite3"))
        return {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": name}}


class PostgreSQLLedgerTests(DatabaseLedgerTests, SimpleTestCase):
    def database_settings(self):
        server, name = services.postgres(), services.unique_name()
        self.addCleanup(server.drop_database, name)
        return {"default": server.create_database(name)}
