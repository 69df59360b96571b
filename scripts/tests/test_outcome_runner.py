import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from lib import ROOT
from lib.errors import ToolError
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
# The limits that are tried for what hangs, in seconds.
LIMITS = (1, 3, 9)
# What hangs before, in, and on a loop of, a test; the last one in a thread of its own,
# which the process waits for at its end.
HANGING = """
import asyncio
import threading
from django.test import SimpleTestCase

class FirstTests(SimpleTestCase):
    def test_passes(self):
        pass

    def test_waits_for_a_thread(self):
        threading.Event().wait()

    def test_waits_on_a_loop(self):
        async def wait_here():
            await asyncio.Event().wait()

        asyncio.run(wait_here())

    async def test_waits_in_a_coroutine(self):
        await asyncio.Event().wait()

class SecondTests(FirstTests):
    @classmethod
    def setUpClass(cls):
        threading.Event().wait()
"""
RUN = """
import django
from django.conf import settings
settings.configure(DATABASES={{}}, INSTALLED_APPS=[])
django.setup()
import time_limit
from outcome_runner import OutcomeRunner
time_limit.SECONDS = {seconds}
runner = OutcomeRunner(verbosity=1, interactive=False, parallel={parallel})
runner.run_tests(["test_it"])
"""


@unittest.skipUnless((TREE / "django/__init__.py").exists(), "build/ is not built.")
class RunnerTestCase(unittest.TestCase):
    """Has ``output`` and ``outcomes`` of a run of ``tests``, the text of a module."""

    tests = ""
    parallel = 2
    seconds = 60

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        Path(folder.name, "test_it.py").write_text(cls.tests)
        result = Path(folder.name, "outcomes.json")
        path = os.pathsep.join([str(TREE), str(RECORDING), folder.name])
        run = RUN.format(parallel=cls.parallel, seconds=cls.seconds)
        done = subprocess.run(
            [sys.executable, "-c", run],
            env={**os.environ, "PYTHONPATH": path, "OUTCOMES_FILE": str(result)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder.name,
            timeout=60,
        )
        cls.output = done.stdout
        cls.outcomes = Outcomes.read(result)


class OutcomeRunnerTests(RunnerTestCase):
    tests = LOCKED

    def test_outcomes_of_all_processes_are_recorded(self):
        expected = {"test_it.SecondTests.test_is_skipped": ("skipped: not here",)}
        for name in ("FirstTests", "SecondTests"):
            expected[f"test_it.{name}.test_passes"] = ("passed",)
            expected[f"test_it.{name}.test_raises"] = ("error",)
            expected[f"test_it.{name}.test_has_subtests"] = ("failed",)
        self.assertEqual(self.outcomes.tests, expected, self.output)

    def test_an_exception_that_cannot_be_pickled_keeps_its_text(self):
        fault = self.outcomes.faults["test_it.FirstTests.test_raises"]
        self.assertIn("LockedError: number 1", fault)

    def test_a_failed_subtest_of_a_test_that_cannot_be_pickled_is_shown(self):
        self.assertIn("(number=1)", self.output)
        self.assertIn("AssertionError: 1 == 1", self.output)


class TimeLimitTests(RunnerTestCase):
    """A test that hangs fails, and what it waited for is shown."""

    tests = HANGING
    expected = {
        "test_it.FirstTests.test_passes": ("passed",),
        "test_it.FirstTests.test_waits_for_a_thread": ("error",),
        "test_it.FirstTests.test_waits_on_a_loop": ("error",),
        "test_it.FirstTests.test_waits_in_a_coroutine": ("error",),
        "setUpClass (test_it.SecondTests)": ("error",),
    }

    @classmethod
    def setUpClass(cls):
        # A machine that stands still for longer may take what does not hang as well.
        for cls.seconds in LIMITS:
            try:
                super().setUpClass()
            except ToolError:
                if cls.seconds == LIMITS[-1]:
                    raise
            else:
                if cls.outcomes.tests == cls.expected:
                    return

    def test_what_hangs_fails_and_the_others_run(self):
        self.assertEqual(self.outcomes.tests, self.expected, self.output)
        for fault in self.outcomes.faults.values():
            self.assertIn(f"took more than {self.seconds} s", fault)

    def test_it_is_shown_where_it_hangs(self):
        for function in (
            "test_waits_for_a_thread",
            "wait_here",
            "test_waits_in_a_coroutine",
            "setUpClass",
        ):
            self.assertIn(f"in {function}\n", self.output)


class SerialTimeLimitTests(TimeLimitTests):
    parallel = 1
