"""A small repository with a small upstream release, for the tests."""

import hashlib
import io
import os
import re
import shutil
import tarfile
import tempfile
import unittest
from pathlib import Path

from lib.errors import ToolError
from lib.tree import BuiltTree

HEADER = """Subject: Gave SETTING a default.
Why: It has
  none.
Not otherwise possible: Defaults are there.
Remove when: Upstream has it.
Anchor: After the cache section.
Forwarded: No.

"""

SETTINGS = "".join(f"LINE_{number} = {number}\n" for number in range(1, 9))
UPSTREAM = {
    "README.rst": "Upstream.\n",
    "django/__init__.py": "VERSION = (1, 0)\n",
    "django/conf/settings.py": SETTINGS,
    "django/conf/empty.py": "",
    "django/urls.py": "import os\n\npaths = []",
    "docs/index.txt": "Index\n=====\n\n* One\n* Two\n",
    "tests/runtests.py": "print('tests')\n",
}
OURS = {
    "django/channels/__init__.py": "channel_layers = {}\n",
    "django/conf/routing.py": "routing = []\n",
    "tests/channels_tests/test_names.py": "names = []\n",
    "specs/layers.rst": "Layers\n",
}
PATCH = """--- a/django/conf/settings.py
+++ b/django/conf/settings.py
@@ -4,2 +4,3 @@
 LINE_4 = 4
+SETTING = {}
 LINE_5 = 5
"""
PATCHED = SETTINGS.replace("LINE_4 = 4\n", "LINE_4 = 4\nSETTING = {}\n")


def write_files(directory, files):
    for path, text in files.items():
        target = Path(directory, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())


def make_archive(path, files, top="mini-1.0"):
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = len(text.encode())
            member.mtime = 1_700_000_000
            archive.addfile(member, io.BytesIO(text.encode()))
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class RepositoryTestCase(unittest.TestCase):
    """Make a repository whose pinned archive is written instead of fetched."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name, "clone")
        self.index = Path(folder.name, "index")
        self.index.mkdir()
        self.downloads = []
        write_files(self.root, OURS)
        write_files(self.root, {"pyproject.toml": 'requires = ["Mini==1.0"]\n'})
        self.pin(UPSTREAM)
        self.write_series("core/settings.patch", HEADER + PATCH)

    def pin(self, files, version="1.0"):
        """Put a release on the index and pin it."""
        archive = f"mini-{version}.tar.gz"
        sha256 = make_archive(self.index / archive, files, f"mini-{version}")
        self.write_pin(version, archive, sha256)
        return sha256

    def write_pin(self, version, archive, sha256):
        text = (
            f"[upstream]\nname = Mini\nversion = {version}\narchive = {archive}\n"
            f"sha256 = {sha256}\n[branch]\nlocal = channels.1\n"
        )
        write_files(self.root, {"patches/upstream.ini": text})

    def write_series(self, *pairs):
        """Write names and texts of patches, in turn, as the whole series."""
        shutil.rmtree(self.root / "patches/core", ignore_errors=True)
        shutil.rmtree(self.root / "patches/docs", ignore_errors=True)
        names = pairs[::2]
        series = "# The order.\n" + "".join(f"{name}\n" for name in names)
        files = dict(zip(names, pairs[1::2]), series=series)
        write_files(self.root / "patches", files)

    def download(self, requirement, directory):
        self.downloads.append(requirement)
        name, _, version = requirement.lower().partition("==")
        archive = f"{name}-{version}.tar.gz"
        return Path(shutil.copy2(self.index / archive, directory))

    def tree(self):
        return BuiltTree(self.root, self.download)

    def build(self, **options):
        return self.tree().build(**options)

    def built(self, path):
        return (self.root / "build" / path).read_text()

    def edit(self, path, old, new):
        """Change a file of the built tree as an editor does, not its links."""
        target = self.root / "build" / path
        target.write_text(target.read_text().replace(old, new))

    def fails(self, sentence, error=ToolError):
        """Return a context that expects an error with that sentence in it."""
        return self.assertRaisesRegex(error, re.escape(sentence))

    def snapshot(self, directory):
        """Return {path: (link, bytes)} of everything under a directory."""
        result = {}
        for folder, _, names in os.walk(directory):
            for name in names:
                path = Path(folder, name)
                link = os.readlink(path) if path.is_symlink() else None
                result[str(path.relative_to(directory))] = link, path.read_bytes()
        return result
