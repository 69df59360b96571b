"""
The near end of reaper.py, which ends servers when this process is gone.

In: server.py, which says what begins, has ended and is to be deleted.
"""

import os
import subprocess
import sys
from multiprocessing.util import Finalize
from pathlib import Path

from ..processes import PATIENCE_SECONDS


class Reaper:
    """The other end of reaper.py: one for each process that starts servers."""

    def __init__(self):
        self._owner = None
        self._pipe = None
        self._process = None
        # What runs, for the system to be told that its end was noticed.
        self.servers = set()

    def tell(self, line):
        """Send a line."""
        os.write(self.pipe(), f"{line}\n".encode())

    def pipe(self):
        """Return the descriptor to write to, of this process's own reaper."""
        if self._owner != os.getpid():
            self._owner = os.getpid()
            self.servers = set()
            read, self._pipe = os.pipe()
            script = str(Path(__file__).with_name("reaper.py"))
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-E", script, str(self._owner)],
                stdin=read,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
            os.close(read)
            # Unlike atexit's, it is run by the test runner's processes as well.
            Finalize(None, self.close, exitpriority=0)
        return self._pipe

    def close(self):
        """Have all servers ended and all folders deleted."""
        os.close(self._pipe)
        self._owner = None
        for process in (self._process, *self.servers):
            process.wait(PATIENCE_SECONDS)


reaper = Reaper()
