"""
SQLite: a file of its own beside the application's, in WAL mode.

The clock is the machine's since its start, which nobody sets; what was stored
before another start of the machine is dropped when the file is opened.
"""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from .dialects import LOCK_SECONDS, Dialect
from .testing import delete_at_exit, in_tests, memory_path

# What is added to the name of the application's file.
SUFFIX = "-channels"
# What is added to the name of the layer's file, for the sockets beside it.
FOLDER_SUFFIX = "-bells"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Pauses between two tries to get the lock, in seconds: the first, the longest.
FIRST_PAUSE_SECONDS = 0.00005
MAX_PAUSE_SECONDS = 0.002
# The write-ahead log is cut to this size, in bytes.
LOG_BYTES = 4 * 1024 * 1024

PRAGMAS = (
    "PRAGMA synchronous = NORMAL",
    f"PRAGMA journal_size_limit = {LOG_BYTES}",
    "PRAGMA temp_store = MEMORY",
)

_clock = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def boot():
    """Return what names the start of this machine, as well as it can be known."""
    with suppress(OSError):
        return BOOT_ID.read_text().strip()
    return ""


class SQLite(Dialect):
    """See Dialect."""

    display_name = "SQLite"
    waking = "rung by the sender"
    has_own_file = True
    has_one_writer = True
    has_all_on_one_machine = True
    max_connections = 1
    types = Dialect.types | {"blob": "blob"}
    begin_sql = "BEGIN IMMEDIATE"
    for_update = for_update_skip = ""

    def __init__(self, wrapper, path=None):
        super().__init__(wrapper)
        # What the settings say, and what follows from it.
        self._given_path = path
        self.path = None
        # What identifies the file that is open.
        self._file = None

    def marked(self, sql):
        return sql.replace("%s", "?")

    def table_options(self, name):
        return " WITHOUT ROWID"

    def settings(self, settings):
        options = {**settings["OPTIONS"], "timeout": 0}
        for name in ("transaction_mode", "init_command"):
            options.pop(name, None)
        settings = super().settings(settings)
        return {**settings, "NAME": os.fspath(self.path), "OPTIONS": options}

    def change_name(self, name):
        if self._given_path is not None:
            self.path = os.path.abspath(self._given_path)
        elif self.wrapper.creation.is_in_memory_db(name):
            self.path = memory_path(name)
        else:
            self.path = os.path.abspath(f"{os.fspath(name)}{SUFFIX}")
            if in_tests():
                delete_at_exit(self.path)

    def prepare(self, connection):
        self._retry(connection.execute, "PRAGMA journal_mode = WAL")
        for pragma in PRAGMAS:
            self._retry(connection.execute, pragma)
        self._file = self._identity()

    def begin(self, cursor):
        self._retry(cursor.execute, self.begin_sql)

    def now(self, cursor):
        if _clock is None:
            return time.monotonic_ns() // 1000
        return time.clock_gettime_ns(_clock) // 1000

    def is_stale(self, connection):
        # Somebody deleted or replaced the file.
        return self._identity() != self._file

    @property
    def folder(self):
        return self.path and f"{self.path}{FOLDER_SUFFIX}"

    def after_making(self):
        # Sockets of processes of an earlier start of the machine.
        shutil.rmtree(self.folder, ignore_errors=True)

    def era(self):
        return boot()

    def is_missing_table(self, error):
        return "no such table" in str(error)

    def explain(self, error):
        reason = super().explain(error)
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR"):
            reason += " (the disk may be full)"
        return reason

    def place(self):
        return f"SQLite file {os.fspath(self.path)!r}"

    def _identity(self):
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _retry(self, execute, sql):
        """
        Execute SQL that needs a lock, as soon as others leave it.

        SQLite's own pauses are up to a hundred times longer than a transaction.
        """
        pause = FIRST_PAUSE_SECONDS
        until = None
        while True:
            try:
                return execute(sql)
            except self.driver.OperationalError as error:
                if "locked" not in str(error):
                    raise
                now = time.monotonic()
                until = until or now + LOCK_SECONDS
                if now >= until:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE_SECONDS)
