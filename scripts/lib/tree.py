"""
The built tree: a complete checkout of the branch in ``build/``.

The verified archive and upstream's unpacked files are kept in ``.cache/``,
what the tree was made of in ``build/.tree.json``.
"""

import contextlib
import json
from dataclasses import asdict
from pathlib import Path

from . import overlay, upstream

try:
    import fcntl
except ImportError:  # Not on Windows, where nobody else may build meanwhile.
    fcntl = None


class BuiltTree:
    """The tree of one repository."""

    def __init__(self, root, download=upstream.download):
        self.root = Path(root)
        self.path = self.root / "build"
        self.cache = self.root / ".cache"
        self.state = self.path / ".tree.json"
        self.download = download
        self.pin = upstream.read_pin(root)

    def build(self, force=False):
        """Bring the tree up to date; return the Record of what it is made of."""
        with self.locked():
            record = overlay.lay_over(
                self.root,
                self.pristine(),
                self.path,
                upstream=self.pin.sha256,
                link=True,
                previous=self.read_record(),
                force=force,
            )
            self.write_record(record)
        return record

    def pristine(self):
        """Return the directory of upstream's unpacked files."""
        target = self.cache / "upstream" / f"{self.pin.directory}-{self.pin.sha256[:8]}"
        if not target.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            archive = upstream.fetch(self.pin, self.cache, self.download)
            upstream.unpack(archive, target)
        return target

    def read_record(self):
        """Return the Record of the last run, None if there was no complete one."""
        try:
            return overlay.Record(**json.loads(self.state.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write_record(self, record):
        text = json.dumps(asdict(record), indent=1, sort_keys=True)
        overlay.write(self.state, text.encode())

    @contextlib.contextmanager
    def locked(self):
        """Keep other runs out until the block ends."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with open(self.cache / "tree.lock", "w") as lock:
            if fcntl:
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
