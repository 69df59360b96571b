"""The command scripts/specs.py; what it checks is tested in channels_tests."""

import subprocess
import sys
import tempfile
import unittest
from importlib.util import find_spec
from pathlib import Path

COMMAND = Path(__file__).resolve().parents[1] / "specs.py"

SPEC = """
Title
=====

.. _ab-1:

**AB-1** It **must** be.
"""


@unittest.skipUnless(find_spec("docutils"), "The specifications need docutils.")
class CheckTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.specs = Path(folder.name, "specs")
        self.specs.mkdir()
        self.tests = Path(folder.name, "tests.py")
        self.tests.write_text('@cites("AB-1", "must be")\ndef test():\n    pass\n')

    def check(self):
        arguments = ["check", "--specs", self.specs, "--tests", self.tests]
        return subprocess.run(
            [sys.executable, COMMAND, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
        )

    def test_good_specifications_are_counted(self):
        (self.specs / "one.rst").write_text(SPEC)
        result = self.check()
        self.assertEqual(
            result.stdout, "1 specifications, 1 requirements, all of them cited.\n"
        )
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_each_problem_is_one_line(self):
        (self.specs / "one.rst").write_text(SPEC.replace("AB-1", "AB-2") + "\nA `b")
        result = self.check()
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), 4, lines)
        self.assertIn("one.rst:7: AB-2 does not stand below a target", lines[1])
        self.assertIn("A test cites AB-1, which is in no specification.", lines[2])
        self.assertIn("No test cites AB-2.", lines[3])

    def test_a_folder_without_specifications_is_an_error(self):
        result = self.check()
        self.assertEqual(result.returncode, 1)
        self.assertIn("has no specification", result.stderr)
