"""Clocks for processes of tests that can be set, by libfaketime."""

import shutil
import tempfile
from pathlib import Path

from ..services.server import not_installed

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/*MT.so.1")


def find_library():
    """Return the path of libfaketime for programs with threads, or None."""
    for pattern in LIBRARIES:
        for path in sorted(Path("/").glob(pattern.lstrip("/"))):
            return path
    return None


class FakeClock:
    """A clock for the processes that have ``environ``; the monotonic one is true."""

    def __init__(self):
        library = find_library()
        if library is None:
            raise not_installed("libfaketime")
        self._folder = Path(tempfile.mkdtemp(prefix="clock-"))
        self._file = self._folder / "offset"
        self.set(0)
        self.environ = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, seconds):
        """Set the clock so far from the true time."""
        new = self._folder / "new"
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._file)

    def stop(self):
        """Delete the file; processes that still look have the true time."""
        shutil.rmtree(self._folder, ignore_errors=True)
