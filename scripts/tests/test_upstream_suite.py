import io
import tempfile
import unittest
from pathlib import Path

from lib import upstream_suite
from lib.environment import Python
from lib.outcomes import Outcomes
from lib.steps import Report
from lib.upstream_suite import Tree, UpstreamComparison, label_of


class Environment:
    """Stands for a virtual environment."""

    base = Python("3.11", "3.11.2", "/usr/bin/python3")

    def __init__(self):
        self.installed = ["asgiref-3.9"]

    def packages(self):
        return self.installed


class Runner:
    """Answers as told; each tree has a list of answers for run after run."""

    def __init__(self, **answers):
        self.environment = Environment()
        self.answers = answers
        self.runs = []

    def run(self, step, tree, labels, **options):
        self.runs.append((tree.name, list(labels)))
        tests = self.answers[tree.name].pop(0)
        return Outcomes({test: (found,) for test, found in tests.items()}, {})


class UpstreamComparisonTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def compare(self, runner, labels=("asgi",)):
        """Compare as a step; return its result and what was shown."""
        comparison = UpstreamComparison(
            runner,
            Tree("pristine", self.folder / "pristine"),
            Tree("built", self.folder / "build"),
            self.folder / "answers",
            "5.2.19",
        )
        out = io.StringIO()
        report = Report(self.folder / "logs", out)
        report.run("labels", lambda step: comparison.run(step, labels, 60))
        return report.results[0], out.getvalue()

    def test_equal_answers_pass(self):
        runner = Runner(pristine=[{"a": "passed"}], built=[{"a": "passed"}])
        result, _ = self.compare(runner)
        self.assertEqual(result.status, "ok")
        self.assertEqual(
            result.remark, "no difference in 1 test, pristine Django's answers run now"
        )

    def test_a_failure_on_both_sides_is_no_difference(self):
        runner = Runner(pristine=[{"a": "failed"}], built=[{"a": "failed"}])
        self.assertEqual(self.compare(runner)[0].status, "ok")

    def test_a_difference_that_stays_when_run_alone_fails(self):
        runner = Runner(
            pristine=[{"x.Y.a": "passed", "x.Y.b": "passed"}, {"x.Y.b": "passed"}],
            built=[{"x.Y.a": "passed", "x.Y.b": "error"}, {"x.Y.b": "error"}],
        )
        result, shown = self.compare(runner)
        self.assertEqual(result.status, "FAILED")
        self.assertIn("1 difference in 2 tests", result.remark)
        self.assertIn("x.Y.b\n", shown)
        self.assertNotIn("x.Y.a", shown)
        self.assertEqual(
            runner.runs[2:], [("pristine", ["x.Y.b"]), ("built", ["x.Y.b"])]
        )

    def test_a_difference_that_goes_when_run_alone_is_reported_as_flaky(self):
        runner = Runner(
            pristine=[{"x.Y.a": "passed"}, {"x.Y.a": "passed"}],
            built=[{"x.Y.a": "error"}, {"x.Y.a": "passed"}],
        )
        result, shown = self.compare(runner)
        self.assertEqual(result.status, "ok")
        self.assertIn("1 flaky", result.remark)
        self.assertIn("flaky, the same on both sides when run alone: x.Y.a", shown)

    def test_a_test_that_one_side_does_not_have_fails(self):
        runner = Runner(
            pristine=[{"x.Y.a": "passed"}, {"x.Y.a": "passed"}],
            built=[{}, {"unittest.loader._FailedTest.a": "error"}],
        )
        result, shown = self.compare(runner)
        self.assertEqual(result.status, "FAILED")
        self.assertIn("built:    absent", shown)

    def test_many_flaky_tests_fail(self):
        tests = {f"x.Y.{n}": "passed" for n in range(upstream_suite.MOST_FLAKY + 1)}
        runner = Runner(
            pristine=[tests, tests], built=[dict.fromkeys(tests, "error"), tests]
        )
        self.assertEqual(self.compare(runner)[0].status, "FAILED")

    def test_very_many_differences_are_not_run_again(self):
        tests = {f"x.Y.{n}": "passed" for n in range(upstream_suite.MOST_RERUN + 1)}
        runner = Runner(pristine=[tests], built=[dict.fromkeys(tests, "error")])
        result, shown = self.compare(runner)
        self.assertEqual(result.status, "FAILED")
        self.assertIn("more, in the log", shown)

    def test_answers_of_pristine_django_are_kept(self):
        for answers in ([{"a": "passed"}], []):
            runner = Runner(pristine=answers, built=[{"a": "passed"}])
            result, _ = self.compare(runner)
        self.assertEqual(runner.runs, [("built", ["asgi"])])
        self.assertTrue(result.remark.endswith("answers kept"), result.remark)

    def test_kept_answers_are_not_taken_for_other_packages_or_labels(self):
        self.compare(Runner(pristine=[{}], built=[{}]))
        runner = Runner(pristine=[{}], built=[{}])
        runner.environment.installed = ["asgiref-3.10"]
        self.compare(runner)
        self.compare(Runner(pristine=[{}], built=[{}]), labels=("asgi", "wsgi"))
        self.assertEqual(len(list((self.folder / "answers").iterdir())), 3)


class LabelTests(unittest.TestCase):
    def test_an_id_is_its_own_label(self):
        self.assertEqual(
            label_of("asgi.tests.ASGITest.test_x"), "asgi.tests.ASGITest.test_x"
        )

    def test_a_fixture_that_fails_has_the_label_of_its_class(self):
        for fixture in ("setUpClass", "tearDownClass"):
            self.assertEqual(label_of(f"{fixture} (asgi.tests.A)"), "asgi.tests.A")
        self.assertEqual(label_of("setUpModule (asgi.tests)"), "asgi.tests")

    def test_a_module_that_cannot_be_imported_is_its_own_label(self):
        self.assertEqual(
            label_of("unittest.loader._FailedTest.asgi.tests"), "asgi.tests"
        )

    def test_the_labels_of_a_tree_are_its_test_packages(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("wsgi", "asgi", "gis_tests", "templates", "test_runner_apps"):
                package = Path(folder, "tests", name)
                package.mkdir(parents=True)
                if name != "templates":
                    (package / "__init__.py").touch()
            self.assertEqual(Tree("x", Path(folder)).labels(), ["asgi", "wsgi"])
