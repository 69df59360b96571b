"""The actions behind the steps of ./scripts/test."""

import os
from pathlib import Path

from . import ROOT, system_packages
from .environment import VirtualEnvironment
from .errors import ToolError
from .outcomes import Outcomes
from .steps import StepFailed, count_of
from .tree import BuiltTree
from .upstream_suite import (
    LABELS,
    LABELS_SECONDS,
    RECORDING,
    SUITE_SECONDS,
    Tree,
    TreeTests,
    UpstreamComparison,
)

SCRIPTS = ROOT / "scripts"
REQUIREMENTS = ROOT / "tests" / "requirements" / "channels.txt"
WORK = ROOT / ".cache"  # Git-ignored; may be deleted at any time.
OUR_LABEL = "channels_tests"
SLOW_TAGS = ("browser", "slow")  # Tests that take seconds each.
FULL_TAG = "full"  # Tests that take long, or need servers that few have.
LINTED = ("django", "tests", "scripts", "examples", "docs", "setup.py")
OUR_TESTS_SECONDS = 1200
FULL_TESTS_SECONDS = 3600
CHECK_SECONDS = 600  # Building the tree, and every check that is no test run.


def in_ci():
    return os.environ.get("CI", "").lower() in ("1", "true")


class Checks:
    """
    Everything that ./scripts/test can check with one Python.

    Each public method that takes a step is an action and returns a remark.
    """

    def __init__(self, python):
        self.environment = VirtualEnvironment(f"test-{python.minor}", python)
        self.runner = TreeTests(self.environment, WORK / "outcomes")
        self.tree = BuiltTree(ROOT)
        self.built = Tree("built", self.tree.path)
        self.ours = []

    def install_environment(self, step):
        wheels = ["--only-binary", ":all:", "--requirement", REQUIREMENTS]
        done = self.environment.install(wheels, [REQUIREMENTS], step.log)
        count = count_of(len(self.environment.packages()), "package")
        return f"{'installed' if done else 'kept'} {count}"

    def install_browser(self, step):
        """Install the browser; without one, browser tests skip, but not in CI."""
        missing = system_packages.missing(system_packages.BROWSER_PACKAGES)
        if not missing:
            return "Chromium and its driver are there"
        try:
            system_packages.install(missing, step.log)
        except ToolError as error:
            if in_ci():
                raise
            return f"browser tests will be skipped: {error}"
        return f"installed {' and '.join(missing)}"

    def install_servers(self, step, full=False):
        """
        Install the servers of channel layers that come as system packages.

        A Valkey and a PostgreSQL came as wheels: the Valkey takes the place of a
        Redis that is missing. Tests of the others skip, but not in CI.
        """
        remarks = [self.install_redis(step)]
        missing = system_packages.missing(system_packages.FULL_PACKAGES if full else {})
        if missing:
            try:
                system_packages.install(missing, step.log)
                remarks.append(f"installed {' and '.join(missing)}")
            except ToolError as error:
                if in_ci():
                    raise
                remarks.append(f"tests with them will be skipped: {error}")
        return ", ".join(remarks)

    def install_redis(self, step):
        missing = system_packages.missing(system_packages.SERVER_PACKAGES)
        if not missing:
            return "Redis is there"
        try:
            system_packages.install(missing, step.log)
        except ToolError:
            return "Valkey takes the place of Redis"
        return f"installed {' and '.join(missing)}"

    def run_our_tests(self, step, seed=None, quick=False, full=False):
        shuffle = "--shuffle" if seed is None else f"--shuffle={seed}"
        options = [shuffle, "--parallel=auto"]
        left_out = [] if full else [FULL_TAG]
        if quick:
            left_out += SLOW_TAGS
        options += [f"--exclude-tag={tag}" for tag in left_out]
        outcomes = self.runner.run(
            step,
            self.built,
            [OUR_LABEL],
            options=options,
            timeout=FULL_TESTS_SECONDS if full else OUR_TESTS_SECONDS,
            live=True,
        )
        return self.judge(outcomes)

    def run_tooling_tests(self, step):
        result = WORK / "outcomes" / f"tooling-{os.getpid()}.json"
        result.parent.mkdir(parents=True, exist_ok=True)
        result.unlink(missing_ok=True)
        step.run(
            [self.environment.python, RECORDING / "outcome_main.py", SCRIPTS],
            env=self.environment.environ(OUTCOMES_FILE=str(result)),
            cwd=ROOT,
            timeout=OUR_TESTS_SECONDS,
            live=True,
        )
        return self.judge(Outcomes.read(result))

    def judge(self, outcomes):
        """Remember outcomes of our tests for the last line; fail on a bad one."""
        self.ours.append(outcomes)
        passed, failed, skipped = outcomes.count()
        remark = f"{passed} passed, {failed} failed, {skipped} skipped"
        if failed:
            raise StepFailed(remark)
        if not passed:
            raise StepFailed(f"No test ran to its end: {remark}.")
        return remark

    def script(self, name, *arguments):
        """Return the action that runs a script; its last line is the remark."""

        def action(step):
            step.check(
                [self.environment.python, SCRIPTS / name, *arguments],
                env=self.environment.environ(),
                cwd=ROOT,
                timeout=CHECK_SECONDS,
            )
            lines = step.log.read_text(errors="replace").splitlines()
            return lines[-1] if len(lines) > 1 else ""

        return action

    def run_linters(self, step):
        paths = [ROOT / name for name in LINTED if (ROOT / name).exists()]
        commands = [
            ["black", "--check", *paths, *script_files()],
            ["isort", "--check-only", *paths, *script_files()],
            ["flake8", *paths, *script_files()],
        ]
        failed = []
        for name, *arguments in commands:
            code = step.run(
                [self.environment.python, "-m", name, *arguments],
                env=self.environment.environ(),
                cwd=ROOT,
                timeout=CHECK_SECONDS,
            )
            failed += [name] if code else []
        if failed:
            raise StepFailed(f"{' and '.join(failed)} found something.")
        return "black, isort and flake8 found nothing"

    def compare_labels(self, step):
        return self.comparison().run(step, LABELS, LABELS_SECONDS)

    def compare_suite(self, step):
        comparison = self.comparison()
        return comparison.run(step, comparison.pristine.labels(), SUITE_SECONDS)

    def comparison(self):
        """Return the comparison; the built tree has unpacked the other side."""
        pristine = Tree("pristine", self.tree.pristine())
        version = self.tree.pin.version
        answers = WORK / "answers"
        return UpstreamComparison(self.runner, pristine, self.built, answers, version)


def script_files():
    """Return our Python scripts without a suffix, which linters do not find."""
    files = [path for path in SCRIPTS.iterdir() if path.is_file() and not path.suffix]
    return [path for path in files if "python" in first_line(path)]


def first_line(path):
    with Path(path).open(encoding="utf-8") as file:
        return file.readline()
