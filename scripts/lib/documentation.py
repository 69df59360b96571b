"""
Build the documentation in the built tree.

Upstream's pages refer to the inventories of other projects, so they warn where
there is no network. Only warnings about pages of ours, or patched by us, count.
"""

import re
import subprocess
import sys

from .errors import ToolError
from .tree import BuiltTree

WARNING = re.compile(r"(.*?)(?::\d+)?: (?:WARNING|ERROR|CRITICAL|SEVERE): ")
BUILD_SECONDS = 900  # A build that takes longer hangs.


def find_warnings(text, docs, pages):
    """Return the lines of Sphinx's warnings that are about one of the pages."""
    paths = {str(docs.joinpath(page)) for page in pages}
    return [
        line
        for line in text.splitlines()
        if (match := WARNING.match(line)) and match[1] in paths
    ]


def build(root):
    """Build everything anew; return the warnings about our pages."""
    tree = BuiltTree(root)
    record = tree.build()
    docs, output = tree.path / "docs", tree.path / "docs/_build"
    log = output / "warnings.txt"
    output.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "sphinx", "-q", "-E", "-b", "html", "-j", "auto"]
    command += ["-w", str(log), "-d", str(output / "doctrees"), str(docs)]
    try:
        done = subprocess.run(
            [*command, str(output / "html")],
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"Sphinx did not end: {error}.") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise ToolError(f"Sphinx failed: {lines[-1]}")
    pages = [
        path[5:] for path in [*record.laid, *record.patched] if path[:5] == "docs/"
    ]
    return find_warnings(log.read_text(encoding="utf-8"), docs, pages)
