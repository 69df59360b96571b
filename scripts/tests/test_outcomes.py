import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from lib.errors import ToolError
from lib.outcomes import ABSENT, Outcomes, differences
from lib.upstream_suite import RECORDING

# A module of tests with every outcome that a test can have.
EVERY_OUTCOME = """
import unittest

class Tests(unittest.TestCase):
    def test_passes(self):
        pass

    def test_fails(self):
        self.fail("as told")

    def test_raises(self):
        raise ValueError("no value")

    @unittest.skip("not here")
    def test_skips(self):
        pass

    @unittest.expectedFailure
    def test_fails_as_expected(self):
        self.fail()

    @unittest.expectedFailure
    def test_passes_unexpectedly(self):
        pass

    def test_has_subtests(self):
        for number in range(3):
            with self.subTest(number=number):
                self.assertNotEqual(number, 1)

class BrokenTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise OSError("no room")

    def test_never_runs(self):
        pass
"""
PREFIX = "tests.test_every.Tests."


def outcomes(**tests):
    return Outcomes({test: tuple(found) for test, found in tests.items()}, {})


class RecordingTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        tests = Path(folder.name, "tests")
        tests.mkdir()
        (tests / "__init__.py").touch()
        (tests / "test_every.py").write_text(EVERY_OUTCOME)
        result = Path(folder.name, "outcomes.json")
        cls.process = subprocess.run(
            [sys.executable, RECORDING / "outcome_main.py", folder.name],
            env={**os.environ, "OUTCOMES_FILE": str(result)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        cls.outcomes = Outcomes.read(result)

    def test_every_outcome_is_recorded(self):
        self.assertEqual(
            self.outcomes.tests,
            {
                PREFIX + "test_passes": ("passed",),
                PREFIX + "test_fails": ("failed",),
                PREFIX + "test_raises": ("error",),
                PREFIX + "test_skips": ("skipped: not here",),
                PREFIX + "test_fails_as_expected": ("expected failure",),
                PREFIX + "test_passes_unexpectedly": ("unexpected success",),
                PREFIX + "test_has_subtests": ("failed",),
                "setUpClass (tests.test_every.BrokenTests)": ("error",),
            },
        )

    def test_a_fault_is_recorded_with_its_text(self):
        self.assertEqual(
            self.outcomes.faults[PREFIX + "test_raises"], "ValueError: no value"
        )

    def test_each_test_counts_once(self):
        self.assertEqual(self.outcomes.count(), (2, 5, 1))

    def test_a_run_with_failures_has_an_exit_code(self):
        self.assertEqual(self.process.returncode, 1, self.process.stdout)


class OutcomesTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "outcomes.json")

    def test_what_is_written_is_read(self):
        written = Outcomes({"a": ("passed", "passed")}, {"b": "ValueError: x"})
        written.write(self.path)
        self.assertEqual(Outcomes.read(self.path), written)

    def test_the_folder_of_the_tree_is_masked(self):
        data = {"outcomes": {"a": ["skipped: no /home/me/tree/x"]}, "faults": {}}
        self.path.write_text(json.dumps(data))
        read = Outcomes.read(self.path, "/home/me/tree")
        self.assertEqual(read.tests, {"a": ("skipped: no <tree>/x",)})

    def test_an_unreadable_file_is_named(self):
        for text in ("", "[]", '{"outcomes": {}}', "{"):
            with self.subTest(text=text):
                self.path.write_text(text)
                message = f"{self.path} has no outcomes of tests"
                with self.assertRaisesRegex(ToolError, message):
                    Outcomes.read(self.path)

    def test_equal_runs_do_not_differ(self):
        run = outcomes(a=["passed"], b=["skipped: no"])
        self.assertEqual(differences(run, run), [])

    def test_another_outcome_is_a_difference(self):
        (found,) = differences(outcomes(a=["passed"]), outcomes(a=["failed"]))
        self.assertEqual(found.test, "a")
        self.assertEqual((found.pristine, found.built), (("passed",), ("failed",)))

    def test_another_reason_for_a_skip_is_a_difference(self):
        before, after = outcomes(a=["skipped: x"]), outcomes(a=["skipped: y"])
        self.assertEqual(len(differences(before, after)), 1)

    def test_a_test_on_one_side_only_is_a_difference(self):
        (gone,) = differences(outcomes(a=["passed"]), outcomes())
        self.assertEqual(gone.built, ABSENT)
        (added,) = differences(outcomes(), outcomes(a=["passed"]))
        self.assertEqual(added.pristine, ABSENT)

    def test_a_repeated_id_counts_each_time(self):
        before, after = outcomes(a=["passed"] * 2), outcomes(a=["passed"])
        self.assertEqual(len(differences(before, after)), 1)

    def test_a_difference_shows_both_sides_and_the_fault(self):
        built = Outcomes({"a.B.c": ("error",)}, {"a.B.c": "ValueError: x\ny"})
        (found,) = differences(Outcomes({"a.B.c": ("passed",)}, {}), built)
        self.assertEqual(
            str(found).splitlines(),
            [
                "a.B.c",
                "    pristine: passed",
                "    built:    error",
                "    ValueError: x",
                "    y",
            ],
        )
