"""
The channel layer in a database that Django uses, over connections of its own.

In: CHANNEL_LAYERS. Out: sql_store/, which is the store for shared/layer.py.
"""

import os
import re

from django.channels.exceptions import InvalidChannelLayerError
from django.core.checks import Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections

from .shared.layer import SharedChannelLayer
from .sql_store.mysql import MySQL
from .sql_store.postgresql import PostgreSQL
from .sql_store.sqlite import SQLite
from .sql_store.store import SQLStore
from .sql_store.testing import in_tests

# {vendor of a connection: its dialect}
DIALECTS = {"sqlite": SQLite, "postgresql": PostgreSQL, "mysql": MySQL}

# Names of tables begin with the option ``table``: they have to fit everywhere.
_table_re = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}\Z")


class DatabaseChannelLayer(SharedChannelLayer):
    """
    A channel layer in SQLite, PostgreSQL, MySQL or MariaDB.

    ``using`` is the alias of a database and ``table`` the begin of the names of
    the layer's tables. On SQLite they are in a file of their own, at ``path`` or
    beside the database's.
    """

    def __init__(
        self, using=DEFAULT_DB_ALIAS, table="django_channels", path=None, **options
    ):
        self.using = using
        self._table = _check_table(table)
        self._path = _check_path(path)
        self._check_database()
        super().__init__(**options)

    def make_store(self):
        return SQLStore(self._make_dialect(), self._table, self.expiry)

    def check(self, reach=False):
        """See BaseChannelLayer.check()."""
        return self._check_file() + super().check(reach)

    async def acheck(self, reach=False):
        return await self._courier.call(self.check, reach)

    def _check_file(self):
        name = self._wrapper.settings_dict["NAME"]
        if self._wrapper.vendor != "sqlite":
            return []
        if self._wrapper.creation.is_in_memory_db(name):
            if self._path is not None or in_tests():
                return []
            return [
                Warning(
                    f"The database {self.using!r} is in memory: only this process and "
                    "its forked children share the channel layer beside it.",
                    hint="Use a database in a file, or set path.",
                    id="channels.database.W001",
                )
            ]
        if self._path and os.path.realpath(self._path) == os.path.realpath(name):
            return [
                Error(
                    f"The path {self._path!r} is the file of the database "
                    f"{self.using!r}: the channel layer would wait for every "
                    "transaction of the application.",
                    hint="Leave path out, or name a file of its own.",
                    id="channels.database.E001",
                )
            ]
        return []

    def create_tables(self):
        """Make the tables of the layer if need be; return whether it was needed."""
        return self._store.create_tables()

    def creation_sql(self):
        """Return the statements of create_tables()."""
        return self._store.schema.statements()

    def _make_dialect(self):
        return DIALECTS[self._wrapper.vendor](self._wrapper, self._path)

    def _check_database(self):
        if self.using not in connections.settings:
            raise InvalidChannelLayerError(
                f"using must be an alias of DATABASES, not {self.using!r}."
            )
        try:
            # Tells what it is; it never connects.
            self._wrapper = connections.create_connection(self.using)
        except ImproperlyConfigured as error:
            raise InvalidChannelLayerError(
                f"The database {self.using!r} cannot be used: {error}"
            ) from error
        vendor = self._wrapper.vendor
        if vendor not in DIALECTS:
            raise InvalidChannelLayerError(
                f"The database {self.using!r} is {vendor}; a channel layer needs "
                f"{', '.join(DIALECTS)}."
            )
        if self._path is not None and vendor != "sqlite":
            raise InvalidChannelLayerError(
                f"path is for SQLite; the database {self.using!r} is {vendor}."
            )


def _check_table(table):
    if not isinstance(table, str) or not _table_re.match(table):
        raise InvalidChannelLayerError(
            "table must be a name of up to 40 ASCII letters, digits and underscores, "
            f"not {table!r}."
        )
    return table


def _check_path(path):
    if path is None:
        return None
    # Processes may be started in different directories.
    if not isinstance(path, (str, os.PathLike)) or not os.path.isabs(path):
        raise InvalidChannelLayerError(
            f"path must be the absolute path of a file, not {path!r}."
        )
    return os.fspath(path)
