#!/usr/bin/env python3
"""
Check, write and count the patches on upstream's files.

  check     everything that style asks of the series, one sentence per problem
  refresh   write the patches anew from upstream's files as they are in build/
  stats     concerns, files, added and removed lines
  canary    try the series on the newest release of upstream (may fail)

To change a patch: run scripts/build_tree.py, edit upstream's file in build/,
run "scripts/patches.py refresh". To make one, edit likewise, then

  scripts/patches.py refresh --new core/SLUG django/PATH [django/PATH ...]

and fill in the header of patches/core/SLUG.patch. --add gives an existing patch
more files. A patch in core/ changes files under django/, one in docs/ files
under docs/, and no file belongs to two patches.
"""

import argparse
import sys

from lib import ROOT, canary, series
from lib.errors import one_sentence
from lib.refreshing import Refresh
from lib.rules import MAX_ADDED, MAX_CONCERNS, find_problems
from lib.tree import BuiltTree


def check(options):
    problems = find_problems(ROOT, BuiltTree(ROOT).pristine())
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        return 1
    print(f"{len(series.read_names(ROOT))} patches, nothing to complain about.")


def refresh(options):
    work = Refresh(BuiltTree(ROOT), options.force)
    if options.new:
        work.create(*split(options.new))
    if options.add:
        work.add(*split(options.add))
    changed = work.write()
    for name in changed:
        print(f"patches/{name} is written.")
    for path in work.find_unowned():
        print(f"note: {path} is edited in build/ and belongs to no patch.")
    print(f"{len(changed)} of {len(work.patches)} patches changed.")


def split(names):
    """Return the patch's name and its files, from one option's values."""
    return names[0], names[1:]


def stats(options):
    patches = series.load(ROOT)
    row = "{:32} {:>5} {:>6} {:>8}".format
    print(row("patch", "files", "added", "removed"))
    for patch in patches:
        print(row(patch.name, len(patch.diffs), patch.count("+"), patch.count("-")))
    core = [patch for patch in patches if patch.name.startswith("core/")]
    added = sum(patch.count("+", "django/") for patch in patches)
    print(
        f"{len(core)} of at most {MAX_CONCERNS} concerns, {added} of at most "
        f"{MAX_ADDED} added lines under django/."
    )


def run_canary(options):
    return 0 if canary.run(ROOT) else 1


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function in (("check", check), ("stats", stats), ("canary", run_canary)):
        commands.add_parser(name).set_defaults(run=function)
    command = commands.add_parser("refresh")
    command.set_defaults(run=refresh)
    command.add_argument(
        "--new", nargs="+", metavar="ARG", help="core/SLUG or docs/SLUG, then its files"
    )
    command.add_argument(
        "--add", nargs="+", metavar="ARG", help="an existing patch, then more files"
    )
    command.add_argument(
        "--force",
        action="store_true",
        help="take what is in build/ even where a patch is newer",
    )
    return parser.parse_args()


def main():
    with one_sentence():
        options = parse()
        sys.exit(options.run(options))


if __name__ == "__main__":
    main()
