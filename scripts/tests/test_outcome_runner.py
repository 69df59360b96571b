import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from lib import ROOT
from lib.outcomes import Outcomes
from lib.upstream_suite import RECORDING

TREE = ROOT / "build"
# Two classes, so that two processes run them; what they keep cannot be pickled.
LOCKED = """
import threading
from django.test import SimpleTestCase

class LockedError(Exception):
    def __init__(self, number):
        super().__init__(f"number {number}")
        self.lock = threading.Lock()

class FirstTests(SimpleTestCase):
    def test_passes(self):
        pass

    def test_raises(self):
        raise LockedError(1)

    def test_has_subtests(self):
        self.lock = threading.RLock()
        for number in range(3):
            with self.subTest(number=number):
                self.assertNotEqual(number, 1)

class SecondTests(FirstTests):
    def test_is_skipped(self):
        self.skipTest("not here")
"""
RUN = """
import django
from django.conf import settings
settings.configure(DATABASES={}, INSTALLED_APPS=[])
django.setup()
from outcome_runner import OutcomeRunner
OutcomeRunner(verbosity=1, interactive=False, parallel=2).run_tests(["test_locked"])
"""


@unittest.skipUnless((TREE / "django/__init__.py").exists(), "build/ is not built.")
class OutcomeRunnerTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        Path(folder.name, "test_locked.py").write_text(LOCKED)
        result = Path(folder.name, "outcomes.json")
        path = os.pathsep.join([str(TREE), str(RECORDING), folder.name])
        done = subprocess.run(
            [sys.executable, "-c", RUN],
            env={**os.environ, "PYTHONPATH": path, "OUTCOMES_FILE": str(result)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder.name,
            timeout=60,
        )
        cls.output = done.stdout
        cls.outcomes = Outcomes.read(result)

    def test_outcomes_of_all_processes_are_recorded(self):
        expected = {"test_locked.SecondTests.test_is_skipped": ("skipped: not here",)}
        for name in ("FirstTests", "SecondTests"):
            expected[f"test_locked.{name}.test_passes"] = ("passed",)
            expected[f"test_locked.{name}.test_raises"] = ("error",)
            expected[f"test_locked.{name}.test_has_subtests"] = ("failed",)
        self.assertEqual(self.outcomes.tests, expected, self.output)

    def test_an_exception_that_cannot_be_pickled_keeps_its_text(self):
        fault = self.outcomes.faults["test_locked.FirstTests.test_raises"]
        self.assertIn("LockedError: number 1", fault)

    def test_a_failed_subtest_of_a_test_that_cannot_be_pickled_is_shown(self):
        self.assertIn("(number=1)", self.output)
        self.assertIn("AssertionError: 1 == 1", self.output)
