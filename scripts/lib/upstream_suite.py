"""
Run upstream's own tests on the built tree and on pristine Django, and compare.

Both sides run with the same virtual environment, the same options and in the
same order; only PYTHONPATH differs. What pristine Django answers is kept, per
version of Django, Python, platform and everything else that it depends on.
"""

import hashlib
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from . import outcomes
from .environment import digest_of
from .outcomes import Outcomes
from .steps import StepFailed, count_of

RECORDING = Path(__file__).parent / "recording"

# What the core patches are near to; the default run holds exactly these.
LABELS = (
    "admin_scripts",
    "asgi",
    "check_framework",
    "file_uploads",
    "handlers",
    "httpwrappers",
    "middleware",
    "requests_tests",
    "responses",
    "servers",
    "sessions_tests",
    "settings_tests",
    "signals",
    "staticfiles_tests",
    "test_client",
    "test_utils",
    "urlpatterns_reverse",
    "view_tests",
    "wsgi",
)
# Folders of upstream's tests that its runner leaves out as well (GIS needs its
# own databases).
NOT_LABELS = {"gis_tests", "import_error_package", "test_runner_apps"}
LABELS_SECONDS = 900  # For one side of the fixed labels.
SUITE_SECONDS = 5400  # For one side of the whole suite.
RERUN_SECONDS = 600  # For one side of the tests that differed.
MOST_FLAKY = 20  # More than these are no accident, whatever a re-run says.
MOST_RERUN = 200  # More differences than these are not run again.
MOST_SHOWN = 30  # More differences than these stand in the log only.


@dataclass(frozen=True)
class Tree:
    """A complete checkout of Django: pristine or built."""

    name: str
    path: Path

    @property
    def tests(self):
        return self.path / "tests"

    def labels(self):
        """Return every label that upstream's runner finds here."""
        modules = (path.parent for path in self.tests.glob("*/__init__.py"))
        return sorted(path.name for path in modules if path.name not in NOT_LABELS)


class TreeTests:
    """Runs tests of a tree with one virtual environment."""

    def __init__(self, environment, scratch):
        self.environment = environment
        self.scratch = Path(scratch)

    def run(self, step, tree, labels, *, options=(), timeout, live=False, **extra):
        """
        Run tests in a tree and return their Outcomes.

        Failing tests are outcomes too: only a run that ends without having
        written its outcomes fails the step.
        """
        self.scratch.mkdir(parents=True, exist_ok=True)
        result = self.scratch / f"{tree.name}-{os.getpid()}.json"
        result.unlink(missing_ok=True)
        environ = self.environment.environ(
            PYTHONPATH=os.pathsep.join([str(tree.path), str(RECORDING)]),
            OUTCOMES_FILE=str(result),
            **extra,
        )
        command = [self.environment.python, "runtests.py", "--noinput"]
        command += ["--settings=outcome_settings", *options, *labels]
        code = step.run(
            command, env=environ, cwd=tree.tests, timeout=timeout, live=live
        )
        if not result.exists():
            raise StepFailed(
                f"The tests on the {tree.name} tree ended with exit code {code} "
                "before they were through."
            )
        try:
            return Outcomes.read(result, tree.path)
        finally:
            result.unlink()


class UpstreamComparison:
    """
    Upstream's tests on both trees.

    ``answers`` is the folder in which pristine Django's outcomes are kept.
    """

    def __init__(self, runner, pristine, built, answers, version):
        self.runner = runner
        self.pristine = pristine
        self.built = built
        self.answers = Path(answers)
        self.version = version

    def run(self, step, labels, timeout):
        """Compare both sides; return a remark or fail with the differences."""
        kept, before = self.answer_of_pristine(step, labels, timeout)
        step.say(f"the {self.built.name} tree: {len(labels)} labels")
        after = self.run_side(step, self.built, labels, "auto", timeout)
        found = outcomes.differences(before, after)
        flaky = []
        if found:
            found, flaky = self.run_again(step, found)
        self.say(step, found, flaky)
        source = "kept" if kept else "run now"
        remark = (
            f"{count_of(len(after.tests), 'test')}, pristine Django's answers {source}"
        )
        if flaky:
            remark += f", {len(flaky)} flaky"
        if found or len(flaky) > MOST_FLAKY:
            raise StepFailed(f"{count_of(len(found), 'difference')} in {remark}")
        return f"no difference in {remark}"

    def run_side(self, step, tree, labels, parallel, timeout):
        # One hash seed for both: sets come in the same order.
        return self.runner.run(
            step,
            tree,
            labels,
            options=[f"--parallel={parallel}"],
            timeout=timeout,
            PYTHONHASHSEED="0",
        )

    def answer_of_pristine(self, step, labels, timeout):
        """Return whether pristine Django's outcomes were kept, and them."""
        path = self.answers / f"{self.identity(labels)}.json"
        if path.exists():
            return True, Outcomes.read(path)
        step.say(f"the {self.pristine.name} tree: {len(labels)} labels")
        answer = self.run_side(step, self.pristine, labels, "auto", timeout)
        answer.write(path)
        return False, answer

    def identity(self, labels):
        """Return a file name for all that pristine Django's answers depend on."""
        depends = [*labels, *self.runner.environment.packages()]
        depends += [str(os.geteuid() == 0), digest_of([RECORDING])]
        depends += [os.environ.get(name, "") for name in ("LANG", "LC_ALL", "TZ")]
        short = hashlib.sha256("\n".join(depends).encode()).hexdigest()[:12]
        python = self.runner.environment.base.version
        return f"{self.version}-{python}-{platform.platform()}-{short}"

    def run_again(self, step, found):
        """Return the differences that stay when run alone, and the others."""
        if len(found) > MOST_RERUN:
            return found, []
        labels = sorted({label_of(difference.test) for difference in found})
        step.say(f"{count_of(len(found), 'difference')}: run again, alone")
        sides = [
            self.run_side(step, tree, labels, 1, RERUN_SECONDS)
            for tree in (self.pristine, self.built)
        ]
        still = {difference.test for difference in outcomes.differences(*sides)}
        stay = [difference for difference in found if difference.test in still]
        return stay, [difference for difference in found if difference not in stay]

    def say(self, step, found, flaky):
        """Show the differences; those past the first ones go to the log only."""
        for difference in flaky:
            step.say(f"flaky, the same on both sides when run alone: {difference}")
        for difference in found[:MOST_SHOWN]:
            step.say(difference)
        if len(found) > MOST_SHOWN:
            step.say(f"... and {len(found) - MOST_SHOWN} more, in the log")
        with open(step.log, "a", encoding="utf-8") as log:
            log.writelines(f"{difference}\n" for difference in [*flaky, *found])


def label_of(test):
    """Return the label that runs the test with an id."""
    if match := re.fullmatch(r"(?:setUp|tearDown)\w+ \((.+)\)", test):
        return match[1]
    return test.removeprefix("unittest.loader._FailedTest.")
