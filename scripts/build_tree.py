#!/usr/bin/env python3
"""
Build a complete checkout of the branch in build/.

Fetches the pinned upstream release through pip, verifies it, links the
repository's files over it and applies the patches strictly. Run it again after
adding or deleting a file or changing a patch; edits of files need no run.
"""

import argparse

from lib import ROOT
from lib.errors import one_sentence
from lib.tree import BuiltTree


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="drop edits of upstream's files that scripts/patches.py refresh has not "
        "exported",
    )
    options = parser.parse_args()
    with one_sentence():
        tree = BuiltTree(ROOT)
        record = tree.build(force=options.force)
    for path in record.edited:
        print(f"note: {path} is edited in build/ and not exported yet.")
    print(
        f"build/ is Django {tree.pin.branch_version}: {len(record.patched)} files "
        f"patched, {len(record.laid)} laid over."
    )


if __name__ == "__main__":
    main()
