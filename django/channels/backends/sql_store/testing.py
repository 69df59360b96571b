"""
What is different while tests run: databases that come and go.

In: connections.py and sqlite.py ask. Out: Django's test runner, by its own hooks.
"""

import os
import shutil
import sys
import tempfile
from hashlib import sha256
from multiprocessing.util import Finalize
from pathlib import Path

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.signals import connection_created

# The folder of the files for databases in memory, made by the first who asks
# and inherited by forked children.
_folder = None


def in_tests():
    """Return whether setup_test_environment() was called in this process."""
    utils = sys.modules.get("django.test.utils")
    return utils is not None and hasattr(utils._TestState, "saved_data")


def memory_path(name):
    """Return the path of the file beside a database in memory."""
    global _folder
    if _folder is None:
        _folder = Path(tempfile.mkdtemp(prefix="channels-"))
        # Unlike atexit's, it is run by the test runner's processes as well.
        Finalize(None, shutil.rmtree, (_folder, True), exitpriority=0)
    # Processes that run tests beside each other have databases of the same name.
    runner = sys.modules.get("django.test.runner")
    worker = getattr(runner, "_worker_id", 0)
    return _folder / f"{sha256(str(name).encode()).hexdigest()[:16]}-{worker}"


def delete_at_exit(path):
    """Delete the file of a test database, and what SQLite has beside it."""
    Finalize(None, _delete, (os.fspath(path),), exitpriority=0)


def _delete(path):
    for suffix in ("", "-wal", "-shm"):
        Path(path + suffix).unlink(missing_ok=True)
    shutil.rmtree(f"{path}-bells", ignore_errors=True)


class DeletionWatch:
    """
    Calls ``function(True)`` before the test runner deletes or copies a database.

    After a copy it calls ``function(False)``.

    Servers refuse both while somebody is connected.
    """

    def __init__(self, wrapper, name, function):
        self._name = wrapper.ops.quote_name(name)
        self._function = function
        connection_created.connect(self._watch, sender=type(wrapper))

    def _watch(self, connection, **kwargs):
        if connection.alias == NO_DB_ALIAS:
            connection.execute_wrappers.append(self._before)

    def _before(self, execute, sql, *args):
        words = sql if isinstance(sql, str) else ""
        if self._name not in words:
            return execute(sql, *args)
        if "DROP DATABASE" in words:
            self._function(True)
        elif "TEMPLATE" in words:
            self._function(True)
            try:
                return execute(sql, *args)
            finally:
                self._function(False)
        return execute(sql, *args)
