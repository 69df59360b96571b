"""
Try the series on the newest release of upstream, to learn early what moved.

Nothing is built from the answer and it may be bad: it tells what the next pin
will cost. A patch that only has to move a number of lines is a good answer.
"""

import tempfile
from pathlib import Path

from . import overlay, patching, series, upstream
from .errors import PatchError, ToolError

# Newer than any Python, so that pip hides no release from an old one.
ANY_PYTHON = ["--python-version", "3.99"]


def download_newest(name, directory):
    """Fetch and unpack the newest release; return its directory."""
    archive = upstream.download(name, directory, extra=ANY_PYTHON)
    return upstream.unpack(archive, archive.with_name("newest"))


def try_patch(patch, pristine):
    """Return (whether a patch still has its place, a remark on it)."""
    moved = 0
    try:
        for diff in patch.diffs:
            text = series.upstream_text(pristine, patch, diff.path)
            offsets = patching.relocate(patch, diff, text)
            moved = max([moved, *map(abs, offsets)])
    except PatchError as error:
        return False, str(error)
    return True, f"applies, moved by up to {moved} lines" if moved else "applies as is"


def run(root):
    """Report on every patch; return whether all would apply."""
    pin = upstream.read_pin(root)
    with tempfile.TemporaryDirectory(prefix="canary-") as directory:
        pristine = download_newest(pin.name, Path(directory))
        release = next(pristine.parent.glob("*.tar.gz")).name.removesuffix(".tar.gz")
        answers = [True]
        for patch in series.load(root):
            good, remark = try_patch(patch, pristine)
            answers.append(good)
            print(f"{'ok  ' if good else 'FAIL'} {patch.name}: {remark}")
        try:
            overlay.refuse_upstream_paths(overlay.our_files(root), pristine)
        except ToolError as error:
            answers.append(False)
            print(f"FAIL {error}")
    failed = answers.count(False)
    print(f"{release}: {f'{failed} problems' if failed else 'the series applies'}.")
    return not failed
