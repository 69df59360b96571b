"""The ledger of the database layer, on SQLite, PostgreSQL and MariaDB."""

import tempfile
from pathlib import Path

from django.test import SimpleTestCase, tag

from . import services
from .ledger import scenarios
from .ledger.breaking import ServerScenarios
from .ledger.cases import LedgerTestCase
from .ledger.filling import SmallDisk
from .services.waiting import wait_for

DATABASE = "django.channels.backends.database.DatabaseChannelLayer"
TABLES = (
    "SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables "
    "WHERE tablename LIKE 'django_channels%'"
)


class DatabaseLedgerTestCase(LedgerTestCase):
    layer = "database"
    backend = DATABASE


@tag("slow")
class SQLiteLedgerTests(
    scenarios.WorkloadScenarios,
    scenarios.ProcessScenarios,
    DatabaseLedgerTestCase,
    SimpleTestCase,
):
    count = 30
    can_stop_others = True

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def database_settings(self):
        name = str(self.folder / "application.sqlite3")
        return {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": name}}

    def test_a_disk_that_is_full_refuses_and_takes_again(self):
        disk = SmallDisk(megabytes=4)
        self.addCleanup(disk.stop)
        self.folder = disk.folder
        with self.make_ledger() as ledger:
            self.begin_traffic(ledger)
            with ledger.broken():
                disk.fill()
                ledger.wait(lambda books: books.errors, "somebody is refused")
                disk.make_room()
            ledger.progress(50)
            ledger.finish()
            self.assertEqual(self.assertBooksAgree(ledger, "store full"), [])


@tag("slow")
class PostgreSQLLedgerTests(
    scenarios.WorkloadScenarios,
    scenarios.ProcessScenarios,
    DatabaseLedgerTestCase,
    SimpleTestCase,
):
    def database_settings(self):
        server, name = services.postgres(), services.unique_name()
        self.addCleanup(server.drop_database, name)
        return {"default": server.create_database(name)}


@tag("full")
class SQLiteLongLedgerTests(
    scenarios.LeaseScenarios, scenarios.ClockScenarios, SQLiteLedgerTests
):
    count = 300
    kills = 10


@tag("full")
class PostgreSQLLongLedgerTests(
    scenarios.LeaseScenarios, scenarios.ClockScenarios, PostgreSQLLedgerTests
):
    count = 500
    kills = 10


@tag("slow")
class PostgreSQLServerLedgerTests(
    ServerScenarios, DatabaseLedgerTestCase, SimpleTestCase
):
    name = "layer"

    def make_server(self, **options):
        server = services.postgres(own=True, **options)
        server.create_database(self.name)
        return server

    def database_settings(self):
        settings = self.server.settings(self.name)
        if self.proxy:
            settings |= {"HOST": "127.0.0.1", "PORT": str(self.proxy.port)}
        return {"default": settings}

    def play(self, ledger, **options):
        programs = super().play(ledger, **options)
        # The tables are there from now on: a commit is not written at once.
        self.server.execute("CHECKPOINT")
        return programs

    def lose_data(self):
        ((tables,),) = self.server.execute(TABLES, self.name)

        def truncate():  # It may be in a deadlock with those who use them.
            self.server.execute(f"TRUNCATE {tables}", self.name)
            return True

        wait_for(truncate, "the tables are empty")

    def fill(self):
        self.skipTest("A PostgreSQL on a full disk ends by itself.")


@tag("full")
class MariaDBLedgerTests(
    scenarios.WorkloadScenarios,
    scenarios.ProcessScenarios,
    DatabaseLedgerTestCase,
    SimpleTestCase,
):
    def database_settings(self):
        server, name = services.mariadb(), services.unique_name()
        self.addCleanup(server.drop_database, name)
        return {"default": server.create_database(name)}
