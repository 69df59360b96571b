"""A MariaDB for tests, from Debian's package mariadb-server."""

import socket
from importlib.util import find_spec

from .database import DatabaseServer
from .server import find_command


class MariaDB(DatabaseServer):
    """
    A MariaDB on a Unix socket; root without a password may do everything.

    Options are those of its command line, with ``_`` for ``-``.
    """

    package = "mariadb-server and PyMySQL"
    user = "nobody"
    superuser = "root"

    def __init__(self, **options):
        super().__init__()
        self.options = options

    def find(self):
        if find_spec("pymysql") is None or not find_command("mariadb-install-db"):
            return None
        return find_command("mariadbd")

    def prepare(self):
        self.run(
            find_command("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={self.data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        )

    def command(self):
        options = {
            "datadir": self.data,
            "socket": self.socket,
            "pid-file": self.folder / "pid",
            "tmpdir": self.folder,
            "skip-networking": "ON",
            "innodb-flush-log-at-trx-commit": "0",
            "innodb-buffer-pool-size": "32M",
            "innodb-log-file-size": "16M",
            "character-set-server": "utf8mb4",
            "max-connections": "200",
            **{name.replace("_", "-"): value for name, value in self.options.items()},
        }
        words = [self.find(), "--no-defaults"]
        return words + [f"--{name}={value}" for name, value in options.items()]

    def ask(self):
        # PyMySQL would leave a socket that is refused open.
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.socket)
        self.execute("SELECT 1")

    # What tests call.

    @property
    def socket(self):
        """The path of the Unix socket."""
        return str(self.folder / "mariadb.sock")

    def execute(self, sql):
        """Run a statement; return its rows."""
        import pymysql

        connection = pymysql.connect(
            unix_socket=self.socket, user=self.superuser, autocommit=True
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def create_database(self, name):
        """Make a database; return Django's settings for it."""
        self.execute(f"CREATE DATABASE `{name}`")
        return self.settings(name)

    def drop_database(self, name):
        """Delete a database."""
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def settings(self, name):
        """
        Return Django's settings for a database.

        Its backend imports MySQLdb: pymysql.install_as_MySQLdb() comes first.
        """
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": name,
            "USER": self.superuser,
            "HOST": self.socket,
        }

    def run(self, *command):
        # Its temporary files go where its user may write.
        super().run("env", f"TMPDIR={self.folder}", *command)
