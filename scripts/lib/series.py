"""The series: which patches there are, in which order, and what they change."""

from pathlib import Path

from . import patching
from .errors import PatchError

PATCHES = "patches"


def read_names(root):
    """Return the names in ``patches/series``, in order."""
    path = Path(root, PATCHES, "series")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise PatchError(f"{path} cannot be read: {error.strerror}.") from error
    return [line.strip() for line in lines if line.strip() and line[0] != "#"]


def read_text(root, name):
    """Return the text of one patch file as it stands."""
    path = Path(root, PATCHES, name)
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise PatchError(
            f"patches/series names {name}, which cannot be read: {error}."
        ) from error


def load(root):
    """Return the parsed patches of the series; no file belongs to two of them."""
    patches = [patching.parse(name, read_text(root, name)) for name in read_names(root)]
    owners = {}
    for patch in patches:
        for diff in patch.diffs:
            if diff.path in owners:
                raise PatchError(
                    f"{diff.path} is changed by patches/{owners[diff.path]} and by "
                    f"patches/{patch.name}; one file belongs to one patch."
                )
            owners[diff.path] = patch.name
    return patches


def upstream_text(pristine, patch, path):
    """Return upstream's text of a file that a patch changes."""
    try:
        return Path(pristine, path).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise PatchError(
            f"patches/{patch.name} does not apply: upstream has no text file {path}."
        ) from error


def apply(patches, pristine, only=None):
    """Return {path: patched bytes} for the files under the directory ``only``."""
    results = {}
    for patch in patches:
        for diff in patch.diffs:
            if only is None or diff.path.startswith(only + "/"):
                text = upstream_text(pristine, patch, diff.path)
                results[diff.path] = patching.apply(patch, diff, text).encode()
    return results
