"""What the tests of the ipc layer have in common."""

import os
import shutil
import tempfile
from importlib.util import find_spec
from unittest import SkipTest

# Where Linux has memory that is a file system.
MEMORY = "/dev/shm"


def require_lmdb():
    """Without lmdb raise SkipTest, or AssertionError where CI is set."""
    if find_spec("lmdb"):
        return
    reason = "Not installed: lmdb."
    if os.environ.get("CI", "").lower() in ("1", "true"):
        raise AssertionError(reason)
    raise SkipTest(reason)


class IPCTests:
    """For a SimpleTestCase: each test has a directory of its own."""

    @classmethod
    def setUpClass(cls):
        require_lmdb()
        super().setUpClass()

    def setUp(self):
        super().setUp()
        memory = MEMORY if os.access(MEMORY, os.W_OK) else None
        self.path = tempfile.mkdtemp(dir=memory)
        self.addCleanup(shutil.rmtree, self.path, ignore_errors=True)

    def make_store(self, expiry=60, size=64 * 1024 * 1024, path=None):
        from django.channels.backends.lmdb_store.store import LMDBStore

        store = LMDBStore(path or self.path, size, expiry)
        self.addCleanup(store.close)
        return store
