"""
Compare the speed of the branch with its peers' on this machine.

Every work measures ours and its peers in turns, in processes of their own, and
prints medians, quartiles and ratios. The records are in build/bench/. Exit code 1
means that a promise about speed is broken.
"""

import argparse
import importlib
import sys

from . import ROOT
from .environment import find_python
from .errors import ToolError

WORKS = ("echo", "broadcast", "wsgi", "layers", "bus", "sockets", "dispatch")


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="./scripts/bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "works", nargs="*", metavar="WORK", help=f"{', '.join(WORKS)} (default: all)"
    )
    parser.add_argument(
        "--rounds", type=int, help="how often each server is measured, at least 1"
    )
    parser.add_argument("--seconds", type=float, help="how long each time")
    parser.add_argument(
        "--only",
        metavar="TEXT",
        help="leave out comparisons whose title does not contain it",
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.works) - set(WORKS):
        parser.error(f"no work is called {', '.join(sorted(unknown))}.")
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds must be at least 1, not {options.rounds}.")
    if options.seconds is not None and options.seconds <= 0:
        parser.error(f"--seconds must be above 0, not {options.seconds}.")
    return options


def main(arguments):
    """Run the works; return the exit code."""
    options = parse(arguments)
    sides = find_module("sides").Sides(find_python())
    sides.prepare()
    broken = []
    for name in options.works or WORKS:
        try:
            run(name, sides, options, ["scripts/bench", *arguments])
        except ToolError as error:
            print(f"  {error}", flush=True)
            broken.append(name)
    if broken:
        raise ToolError(f"{', '.join(broken)} did not go as promised.")
    return 0


def find_module(name):
    """Return a module of tests/benchmarks, which is not on the path."""
    tests = str(ROOT / "tests")
    if tests not in sys.path:
        sys.path.append(tests)
    return importlib.import_module(f"benchmarks.{name}")


def run(name, sides, options, command):
    """Run one work, and save what came out."""
    work, records = find_module(name), find_module("records")
    record = records.circumstances(sides.environment, command)
    for key, value in record.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        print(f"{key}: {shown}", flush=True)
    rounds = options.rounds or work.ROUNDS
    seconds = options.seconds or work.SECONDS
    record["comparisons"] = []
    judge = getattr(work, "judge", None)
    problems = []
    for comparison in work.comparisons(sides):
        if options.only is None or options.only in comparison.title:
            try:
                result = comparison.run(sides.environment, rounds, seconds)
                record["comparisons"].append(result)
                if judge:
                    judge(result)
            except ToolError as error:
                problems.append(f"{comparison.title}: {error}")
    print(f"  recorded in {records.save(name, record)}", flush=True)
    if problems:
        raise ToolError("\n  ".join(problems))
