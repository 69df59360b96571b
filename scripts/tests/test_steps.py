import io
import os
import select
import sys
import tempfile
import unittest
from pathlib import Path

from lib.errors import ToolError
from lib.steps import Report, StepFailed, duration

# Seconds in which what a test waits for happens, on the slowest machine.
PATIENCE_SECONDS = 60


class ReportTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.out = io.StringIO()
        self.report = Report(self.folder / "logs", self.out)

    def python(self, code, live=False, timeout=30):
        """Return an action that runs some Python code as a command."""

        def action(step):
            step.check(
                [sys.executable, "-c", code],
                env=dict(os.environ),
                cwd=self.folder,
                timeout=timeout,
                live=live,
            )

        return action

    def fail(self, step):
        raise StepFailed("It is broken.")

    def test_a_step_that_returns_has_passed(self):
        self.assertTrue(self.report.run("one", lambda step: "two things done"))
        self.assertFalse(self.report.failed)
        self.assertIn("== one\n", self.out.getvalue())
        self.assertIn("two things done [ok, ", self.out.getvalue())

    def test_a_step_that_raises_has_failed(self):
        self.assertFalse(self.report.run("one", self.fail))
        self.assertTrue(self.report.failed)
        self.assertIn("It is broken. [FAILED, ", self.out.getvalue())

    def test_every_tool_error_is_a_failure_and_no_traceback(self):
        def action(step):
            raise ToolError("No archive.")

        self.report.run("one", action)
        self.assertTrue(self.report.failed)
        self.assertNotIn("Traceback", self.out.getvalue())

    def test_a_step_that_may_fail_is_only_reported(self):
        self.report.run("one", self.fail, may_fail=True)
        self.assertFalse(self.report.failed)
        self.assertIn("It is broken. [reported, ", self.out.getvalue())

    def test_a_step_whose_need_failed_does_not_run_and_is_no_success(self):
        self.report.run("one", self.fail)
        ran = []
        self.assertFalse(self.report.run("two", ran.append, needs=["one"]))
        self.assertEqual(ran, [])
        self.assertEqual(self.report.results[-1].status, "not run")
        self.assertTrue(self.report.failed)

    def test_the_summary_has_a_line_for_each_step_and_the_time(self):
        self.report.run("one", lambda step: "done")
        self.report.run("three", self.fail)
        self.report.summarize()
        summary = self.out.getvalue().partition("== Summary\n")[2].splitlines()
        self.assertRegex(summary[0], r"^   one +ok +\d\.\d s  done$")
        self.assertRegex(summary[1], r"^   three +FAILED +\d\.\d s  It is broken\.$")
        self.assertRegex(summary[2], r"^   together +\d\.\d s$")

    def test_output_of_a_command_stays_in_the_log_when_it_succeeds(self):
        self.report.run("one", self.python("print('a secret')"))
        self.assertNotIn("a secret", self.out.getvalue())
        self.assertIn("a secret", (self.folder / "logs" / "one.log").read_text())

    def test_the_end_of_the_log_is_shown_when_a_command_fails(self):
        code = "for n in range(100): print('line', n)\nraise SystemExit(3)"
        self.report.run("one", self.python(code))
        shown = self.out.getvalue()
        self.assertIn("line 99\n", shown)
        self.assertNotIn("line 10\n", shown)
        self.assertIn("ended with exit code 3.", shown)
        self.assertIn(str(self.folder / "logs" / "one.log"), shown)

    def test_live_output_is_shown_and_logged(self):
        self.report.run("one", self.python("print('seen')", live=True))
        self.assertIn("seen\n", self.out.getvalue())
        self.assertIn("seen\n", (self.folder / "logs" / "one.log").read_text())

    def test_a_command_that_takes_too_long_ends_with_its_children(self):
        code = (
            "import signal, subprocess, sys;"
            "pause = [sys.executable, '-c', 'import signal; signal.pause()'];"
            "subprocess.Popen(pause);"
            "child = subprocess.Popen(pause, start_new_session=True);"
            "open('child', 'w').write(str(child.pid)); signal.pause()"
        )
        for live in (False, True):
            with self.subTest(live=live):
                # On a slow machine, it may not have come so far.
                for seconds in (1, 5, 25):
                    child = self.take_too_long(code, live, seconds)
                    if child:
                        break
                self.assertTrue(child)
                self.assertTrue(ends(int(child)))

    def take_too_long(self, code, live, seconds):
        """Let a command run for so long; return the child's id if it wrote it."""
        file = self.folder / "child"
        file.write_text("")
        self.report.run("one", self.python(code, live=live, timeout=seconds))
        result = self.report.results[-1]
        self.assertEqual(result.status, "FAILED")
        self.assertIn(f"took more than {seconds}.0 s", result.remark)
        self.assertLess(result.seconds, seconds + PATIENCE_SECONDS)
        return file.read_text()


def ends(pid):
    """Wait until a process has ended; return False if it does not."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], PATIENCE_SECONDS)[0])
    finally:
        os.close(process)


class DurationTests(unittest.TestCase):
    def test_durations_read_as_people_write_them(self):
        self.assertEqual(duration(0.04), "0.0 s")
        self.assertEqual(duration(59.94), "59.9 s")
        self.assertEqual(duration(60), "1 min 00 s")
        self.assertEqual(duration(754.6), "12 min 35 s")
