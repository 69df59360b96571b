import importlib.metadata
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lib import ROOT, distribution, upstream
from lib.errors import ToolError


class BuildRequirementTests(unittest.TestCase):
    pin = upstream.read_pin(ROOT)

    def find(self, *versions):
        found = [mock.Mock(version=version) for version in versions]
        with mock.patch("importlib.metadata.distributions", return_value=found):
            return distribution.find_upstream(self.pin)

    def test_the_pinned_release_is_found(self):
        version = self.pin.version
        self.assertEqual(self.find("9.9", version).version, version)

    def test_another_release_is_told(self):
        for versions, told in (
            (["9.9"], "there is 9.9:"),
            ([self.pin.branch_version], f"there is {self.pin.branch_version}:"),
            ([], "there is none:"),
        ):
            with self.subTest(versions=versions):
                with self.assertRaises(ToolError) as raised:
                    self.find(*versions)
                self.assertIn(told, str(raised.exception))
                self.assertIn(f"Django=={self.pin.version}", str(raised.exception))


class LicenseTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_the_licenses_of_upstream_are_copied(self):
        info = self.folder / "mini-1.0.dist-info"
        (info / "licenses").mkdir(parents=True)
        (info / "licenses/LICENSE").write_text("Theirs.")
        (info / "METADATA").write_text("Name: mini\nVersion: 1.0\n")
        (info / "RECORD").write_text(
            "mini.py,,\nmini-1.0.dist-info/METADATA,,\n"
            "mini-1.0.dist-info/licenses/LICENSE,,\n"
        )
        theirs = importlib.metadata.PathDistribution(info)
        ours = self.folder / "ours"
        names = distribution.copy_licenses(theirs, ours)
        self.assertEqual(names, ["django/LICENSE"])
        self.assertEqual((ours / "licenses/django/LICENSE").read_text(), "Theirs.")

    def test_they_are_declared_after_ours(self):
        path = self.folder / "METADATA"
        path.write_text("Name: x\nLicense-File: LICENSE\nRequires-Dist: y\n\nText\n")
        distribution.declare_licenses(self.folder, ["django/A", "django/B"])
        self.assertEqual(
            path.read_text(),
            "Name: x\nLicense-File: LICENSE\nLicense-File: django/A\n"
            "License-File: django/B\nRequires-Dist: y\n\nText\n",
        )
