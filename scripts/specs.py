#!/usr/bin/env python3
"""
Check the specifications in specs/ and the tests that cite them.

  check     one line for each problem: a "must" without an id, an id that no test
            cites or that is given twice, a citation of an unknown id or of words
            that the text has not, a bad message table, an error of the markup
"""

import argparse
import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def load_reader():
    """Return the module that reads specifications; tests import it, too."""
    path = ROOT / "tests/channels_tests/specs.py"
    spec = importlib.util.spec_from_file_location("channels_specs", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error}. The specifications are read with docutils.")
    return module


def check(options):
    reader = load_reader()
    specs = reader.read_specs(options.specs)
    if not specs:
        print(f"error: {options.specs} has no specification.", file=sys.stderr)
        return 1
    problems = reader.find_problems(specs, options.tests or reader.find_test_files())
    for problem in problems:
        print(problem.replace(f"{ROOT}/", ""), file=sys.stderr)
    if problems:
        return 1
    count = sum(len(spec.requirements) for spec in specs)
    print(f"{len(specs)} specifications, {count} requirements, all of them cited.")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("check")
    command.add_argument(
        "--specs", type=Path, default=ROOT / "specs", help="a folder or a file"
    )
    command.add_argument(
        "--tests", type=Path, nargs="+", metavar="FILE", help="test files that cite"
    )
    command.set_defaults(run=check)
    options = parser.parse_args()
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
