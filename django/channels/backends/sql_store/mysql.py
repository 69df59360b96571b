"""
MySQL and MariaDB: the server's clock, InnoDB's row locks, and no notifications.

Processes of one machine ring each other; from other machines they learn by
asking the server (see listening.py).
"""

import re

from .dialects import IDLE_SECONDS, LOCK_SECONDS, Dialect

# Numbers of the server's errors.
DEADLOCK, LOCK_TIMEOUT, NO_SUCH_TABLE = 1213, 1205, 1146
# Of the server and the driver: the connection was killed, is gone, was lost.
LOST = (1927, 2006, 2013)
# The first releases that leave out rows that are locked.
SKIPPING = {"MySQL": (8, 0), "MariaDB": (10, 6)}


class MySQL(Dialect):
    """See Dialect."""

    display_name = "MySQL"
    waking = "rung on this machine, otherwise asking every 0.01 to 0.1 s"
    can_roll_back_tables = False
    has_create_index_if_not_exists = False
    types = {
        "name": "varchar(100) CHARACTER SET ascii COLLATE ascii_bin",
        "text": "varchar(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "big": "bigint",
        "blob": "longblob",
    }
    begin_sql = "START TRANSACTION"
    now_sql = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"

    # Older servers wait for a lock instead of leaving the row out.
    for_update_skip = " FOR UPDATE"

    def table_options(self, name):
        return " ENGINE=InnoDB"

    def settings(self, settings):
        options = {"connect_timeout": 10, **settings["OPTIONS"]}
        options["isolation_level"] = "read committed"
        return {**super().settings(settings), "OPTIONS": options}

    def prepare(self, connection):
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {LOCK_SECONDS}")
            cursor.execute("SELECT VERSION()")
            version = cursor.fetchone()[0]
            if "MariaDB" in version:
                self.display_name = "MariaDB"
                cursor.execute(f"SET SESSION idle_transaction_timeout = {IDLE_SECONDS}")
        numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
        if numbers >= SKIPPING[self.display_name]:
            self.for_update_skip = " FOR UPDATE SKIP LOCKED"

    def begin_making(self, cursor):
        # Statements that make tables commit; a transaction would not last.
        cursor.execute("SELECT GET_LOCK('django_channels', %s)", (LOCK_SECONDS,))
        cursor.fetchall()

    def end_making(self, cursor):
        cursor.execute("SELECT RELEASE_LOCK('django_channels')")
        cursor.fetchall()

    def is_conflict(self, error):
        return self._number(error) in (DEADLOCK, LOCK_TIMEOUT)

    def is_lost(self, raw, error):
        return isinstance(error, self.driver.Error) and self._number(error) in LOST

    def is_missing_table(self, error):
        return self._number(error) == NO_SUCH_TABLE

    def explain(self, error):
        return str(error.args[1] if len(error.args) > 1 else error).splitlines()[0]

    def _number(self, error):
        return error.args[0] if error.args else None
