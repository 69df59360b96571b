"""
Small disks for tests: a tmpfs of a few megabytes, which can be filled.

Only root may have one; for others, and in containers that allow none, it skips.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from unittest import SkipTest

CHUNK_BYTES = 4096


class SmallDisk:
    """A folder on a file system of its own, until stop()."""

    def __init__(self, megabytes):
        self.folder = Path(tempfile.mkdtemp(prefix="disk-"))
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none"]
        try:
            done = subprocess.run([*command, self.folder], capture_output=True)
            mounted = done.returncode == 0
        except OSError:
            mounted = False
        if not mounted:
            self.folder.rmdir()
            raise SkipTest("This user cannot mount a small disk.")

    def fill(self):
        """Leave no room on the disk."""
        with open(self.folder / "filler", "ab", buffering=0) as file:
            try:
                while file.write(bytes(CHUNK_BYTES)):
                    pass
            except OSError:
                pass

    def make_room(self):
        """Undo fill()."""
        os.truncate(self.folder / "filler", 0)

    def stop(self):
        """Unmount the disk, also while processes still have it."""
        subprocess.run(["umount", "-l", self.folder], check=True, capture_output=True)
        self.folder.rmdir()
