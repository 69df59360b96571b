"""Databases for tests of the database layer: on files, and on servers."""

import contextlib
import gc
import itertools
import os
import tempfile
import warnings
from pathlib import Path

from django.channels.backends.database import DatabaseChannelLayer
from django.db import connections
from django.db.utils import ConnectionHandler

from . import services

_numbers = itertools.count()


def add_database(alias, settings):
    """Have an alias for a database, as if it were in DATABASES."""
    handler = ConnectionHandler({"default": settings})
    connections.settings[alias] = handler.settings["default"]


def make_layer(settings, using, **options):
    """Return a layer on a database that this process does not know yet."""
    if "mysql" in settings["ENGINE"]:
        import pymysql

        pymysql.install_as_MySQLdb()
    add_database(using, settings)
    layer = DatabaseChannelLayer(using=using, **options)
    layer.create_tables()
    return layer


class DatabaseTestCase:
    """
    For a SimpleTestCase with a database of its own, by the alias ``using``.

    A subclass says what is in DATABASES. Nothing of it is Django's test database.
    """

    using = "channels"

    @classmethod
    def database_settings(cls):
        """Return what DATABASES has for the database."""
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.database = cls.database_settings()
        add_database(cls.using, cls.database)
        # None of those that Django makes for tests.
        cls.databases = {cls.using}
        cls.addClassCleanup(connections.settings.pop, cls.using)

    def setUp(self):
        super().setUp()
        self.table = services.unique_name("t")

    def get_options(self):
        """Return the options of a layer with empty tables."""
        return {"using": self.using, "table": services.unique_name("t")}

    def get_recipe(self, layer):
        """Return what makes a layer on the same tables in a fresh interpreter."""
        path, options = super().get_recipe(layer)
        return f"{__name__}.make_layer", {"settings": self.database, **options}

    def make_store(self, expiry=60):
        """Return another process's store on the tables of this test."""
        layer = DatabaseChannelLayer(using=self.using, table=self.table, expiry=expiry)
        return layer._store

    def end(self, store):
        """End the lease of a store's process, as time does."""
        self.execute(
            store,
            "UPDATE {process} SET lease = 0 WHERE incarnation = %s",
            store.incarnation,
        )

    def execute(self, store, sql, *values):
        """Execute SQL on the tables of a store; return how many rows it changed."""
        return store._run(lambda step: step.execute(sql, values))


class SQLiteTestCase(DatabaseTestCase):
    """An SQLite file in a folder of the class, and a layer's file for each layer."""

    @classmethod
    def database_settings(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(cls.folder / "application.sqlite3"),
        }

    def setUp(self):
        super().setUp()
        self.path = str(self.folder / self.table)

    def get_options(self):
        """Return the options of a layer with a file of its own."""
        return {"using": self.using, "path": f"{self.path}-{next(_numbers)}"}

    def get_paths(self, layer):
        """Return the paths of the layer's file and of what SQLite has beside it."""
        path = layer._store._dialect.path
        return [f"{path}{suffix}" for suffix in ("", "-wal", "-shm")]

    def stop_store(self, layer):
        # Whoever opens it finds a folder in its place.
        while not os.path.isdir(self.get_paths(layer)[0]):
            for path in filter(os.path.exists, self.get_paths(layer)):
                os.rename(path, f"{path}.away")
            # A thread of the layer may have made it anew just now.
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.get_paths(layer)[0])

    def start_store(self, layer):
        os.rmdir(self.get_paths(layer)[0])
        for path in self.get_paths(layer):
            if os.path.exists(f"{path}.away"):
                os.rename(f"{path}.away", path)

    def lose_data(self, layer):
        for path in filter(os.path.exists, self.get_paths(layer)):
            os.unlink(path)


class ServerTestCase(DatabaseTestCase):
    """A database on a server of the tests, which ``start`` returns."""

    start = None

    @classmethod
    def database_settings(cls):
        cls.server = cls.start()
        cls.name = services.unique_name()
        settings = cls.server.create_database(cls.name)
        cls.addClassCleanup(cls.server.drop_database, cls.name)
        return settings

    def stop_store(self, layer):
        self.server.terminate()

    def start_store(self, layer):
        self.server.start()


class PostgreSQLTestCase(ServerTestCase):
    """A database on the PostgreSQL that all tests share."""

    start = staticmethod(services.postgres)

    def lose_data(self, layer):
        # Unlogged tables are empty after a crash.
        self.server.kill()
        self.server.start()


class MariaDBTestCase(ServerTestCase):
    """A database on the MariaDB that all tests share."""

    @classmethod
    def setUpClass(cls):
        # PyMySQL leaves a socket that is refused to the garbage collector.
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", "unclosed <socket", ResourceWarning)
        stack.callback(gc.collect)
        super().setUpClass()

    @classmethod
    def start(cls):
        server = services.mariadb()
        import pymysql

        pymysql.install_as_MySQLdb()
        return server
