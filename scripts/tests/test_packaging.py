"""
The distribution, built as pip builds it.

Slow, because pip makes an isolated environment with the pinned release for
each build; ./scripts/test --fast leaves all tests of the scripts out.
"""

import email
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

from lib import ROOT, overlay, upstream
from lib.tree import BuiltTree

BUILD_SECONDS = 300
# What a clone has beside the directories that are laid over.
PARTS = (*overlay.PARTS, "patches", "scripts")


def clone(target):
    """Copy the repository's files as they are, junk of working on it included."""
    for part in filter(lambda part: (ROOT / part).exists(), PARTS):
        shutil.copytree(ROOT / part, target / part)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy2(path, target)
    archive = ROOT / ".cache" / upstream.read_pin(ROOT).archive
    if archive.exists():
        (target / ".cache").mkdir()
        shutil.copy2(archive, target / ".cache")
    cache = target / "django/channels/__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "stale.cpython-310.pyc").touch()
    (target / "build/lib/django").mkdir(parents=True)
    (target / "build/lib/django/stale.py").touch()


def pip(*arguments, cwd=None):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=cwd,
        env={name: os.environ[name] for name in os.environ if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
    )


def build_wheel(source, target):
    done = pip("wheel", "--no-deps", "--wheel-dir", target, source)
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    [wheel] = Path(target).glob("*.whl")
    return wheel


def contents(wheel):
    """Return {name: bytes} of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class WheelTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.clone = cls.folder / "clone"
        cls.clone.mkdir()
        clone(cls.clone)
        cls.before = set(overlay.walk(cls.clone, ignored=()))
        cls.wheel = build_wheel(cls.clone, cls.folder / "wheel")
        cls.contents = contents(cls.wheel)
        cls.pin = upstream.read_pin(ROOT)
        cls.info = f"django-{cls.pin.branch_version}.dist-info/"
        cls.metadata = email.message_from_bytes(cls.contents[f"{cls.info}METADATA"])

    def test_it_is_named_after_upstream_with_a_local_version(self):
        self.assertEqual(
            self.wheel.name, f"django-{self.pin.branch_version}-py3-none-any.whl"
        )
        self.assertEqual(self.metadata["Name"], self.pin.name)
        self.assertEqual(self.metadata["Version"], self.pin.branch_version)

    def test_it_has_the_files_of_the_built_tree(self):
        BuiltTree(self.clone).build()
        tree = self.clone / "build"
        shutil.rmtree(tree / "lib")
        paths = overlay.walk(tree, "django")
        packed = {name for name in self.contents if not name.startswith(self.info)}
        self.assertEqual(packed, set(paths))
        for path in paths:
            with self.subTest(path=path):
                self.assertEqual(self.contents[path], (tree / path).read_bytes())

    def test_upstreams_requirements_and_extras_are_declared(self):
        theirs = email.message_from_bytes(
            (BuiltTree(self.clone).pristine() / "PKG-INFO").read_bytes()
        )
        for field in ("Requires-Dist", "Provides-Extra", "Requires-Python"):
            with self.subTest(field=field):
                ours = set(self.metadata.get_all(field))
                self.assertLessEqual(set(theirs.get_all(field)), ours)

    def test_nothing_of_ours_is_required_without_an_extra(self):
        required = [
            requirement
            for requirement in self.metadata.get_all("Requires-Dist")
            if "extra ==" not in requirement
        ]
        self.assertEqual(len(required), 3, required)

    def test_upstreams_licenses_lie_beside_ours(self):
        names = self.metadata.get_all("License-File")
        theirs = ["AUTHORS", "LICENSE", "LICENSE.python"]
        self.assertEqual(
            sorted(names),
            ["AUTHORS", "LICENSE", *(f"django/{name}" for name in theirs)],
        )
        pristine = BuiltTree(self.clone).pristine()
        for name in names:
            source = pristine / name[7:] if name[:7] == "django/" else self.clone / name
            with self.subTest(name=name):
                self.assertEqual(
                    self.contents[f"{self.info}licenses/{name}"], source.read_bytes()
                )

    def test_the_command_is_declared(self):
        text = self.contents[f"{self.info}entry_points.txt"].decode()
        self.assertIn("django-admin = django.core.management:execute", text)

    def test_the_build_writes_nothing_into_the_clone_but_its_notes(self):
        after = set(overlay.walk(self.clone, ignored=()))
        new = {path.split("/")[0] for path in after - self.before}
        self.assertLessEqual(new, {"Django.egg-info", "build", ".cache", "scripts"})

    def test_a_source_distribution_makes_the_same_wheel(self):
        script = "import setuptools.build_meta as b, sys; b.build_sdist(sys.argv[1])"
        target, tools = self.folder / "sdist", self.folder / "tools"
        pip(
            "install", "--no-deps", "--target", tools, "setuptools>=77"
        ).check_returncode()
        subprocess.run(
            [sys.executable, "-c", script, str(target)],
            cwd=self.clone,
            check=True,
            env={**os.environ, "PYTHONPATH": str(tools)},
            capture_output=True,
            timeout=BUILD_SECONDS,
        )
        [archive] = target.glob("*.tar.gz")
        self.assertEqual(archive.name, f"django-{self.pin.branch_version}.tar.gz")
        again = contents(build_wheel(archive, self.folder / "again"))
        self.assertEqual(set(again), set(self.contents))
        different = [name for name in again if again[name] != self.contents[name]]
        self.assertEqual(different, [])

    def test_an_editable_installation_is_refused(self):
        done = pip(
            "install", "--no-deps", "--target", self.folder / "t", "-e", self.clone
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("run scripts/build_tree.py", done.stdout + done.stderr)
