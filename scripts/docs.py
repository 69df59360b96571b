#!/usr/bin/env python3
"""
Build the documentation into build/docs/_build/html.

Needs Sphinx (the extra "docs"). Fails on a warning about a page of ours.
"""

import argparse
import sys

from lib import ROOT, documentation
from lib.errors import one_sentence


def main():
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    with one_sentence():
        warnings = documentation.build(ROOT)
    for warning in warnings:
        print(warning, file=sys.stderr)
    if warnings:
        sys.exit(1)
    print("The documentation is in build/docs/_build/html.")


if __name__ == "__main__":
    main()
