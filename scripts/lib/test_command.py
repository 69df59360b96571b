"""Set up everything that the tests need, run them and every other check."""

import argparse
import os
import signal
from functools import partial

from .checks import WORK, Checks
from .environment import find_python, find_pythons
from .steps import Report

LOGS = WORK / "logs"


def parse(arguments):
    parser = argparse.ArgumentParser(prog="./scripts/test", description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--fast",
        action="store_true",
        help="the inner loop: our quick tests, specs, patches and linters",
    )
    mode.add_argument(
        "--upstream",
        action="store_true",
        help="with upstream's whole suite in place of the fixed labels",
    )
    mode.add_argument(
        "--full",
        action="store_true",
        help="with upstream's whole suite, our long tests and those with every "
        "kind of server, and our tests on every Python found",
    )
    parser.add_argument(
        "--shuffle", metavar="SEED", type=int, help="repeat a random order of our tests"
    )
    return parser.parse_args(arguments)


def run_quick_steps(report, checks, options):
    """Run what every mode has."""
    ours = partial(
        checks.run_our_tests,
        seed=options.shuffle,
        quick=options.fast,
        full=options.full,
    )
    report.run("environment", checks.install_environment)
    if not options.fast:
        report.run("browser", checks.install_browser)
        servers = partial(checks.install_servers, full=options.full)
        report.run("servers", servers)
    report.run("tree", checks.script("build_tree.py"), needs=["environment"])
    report.run("our tests", ours, needs=["tree"], show_log=False)
    for name in ("specs", "patches"):
        check = checks.script(f"{name}.py", "check")
        report.run(name, check, needs=["environment"])
    report.run("linters", checks.run_linters, needs=["environment"])


def run_slow_steps(report, checks, options):
    """Run what takes minutes or needs the network."""
    report.run(
        "tooling tests",
        checks.run_tooling_tests,
        needs=["environment"],
        show_log=False,
    )
    canary = checks.script("patches.py", "canary")
    report.run("canary", canary, needs=["environment"], may_fail=True)
    if options.upstream or options.full:
        name, compare = "upstream suite", checks.compare_suite
    else:
        name, compare = "upstream labels", checks.compare_labels
    report.run(name, compare, needs=["tree"], show_log=False)


def run_other_pythons(report, checks):
    """Run our tests on every other Python found; return what was checked."""
    others = []
    for python in find_pythons():
        if python.minor == checks.environment.base.minor:
            continue
        other = Checks(python)
        others.append(other)
        environment = f"environment {python.minor}"
        report.run(environment, other.install_environment)
        report.run(
            f"our tests on {python.minor}",
            other.run_our_tests,
            needs=[environment, "tree"],
            show_log=False,
        )
    return others


def main(arguments):
    """Run the steps of a mode; return the exit code."""
    options = parse(arguments)
    # Ends as Ctrl-C does: what a step started ends with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    report = Report(LOGS)
    checks = Checks(find_python())
    report.print(f"{checks.environment.base}, {os.cpu_count()} cores")
    run_quick_steps(report, checks, options)
    if not options.fast:
        run_slow_steps(report, checks, options)
    others = run_other_pythons(report, checks) if options.full else []
    report.summarize()
    runs = [outcomes.count() for one in [checks, *others] for outcomes in one.ours]
    passed, failed, skipped = map(sum, zip(*runs)) if runs else (0, 0, 0)
    report.print(f"\n{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if report.failed else 0
