"""
Lay the repository's files over upstream's: the one function for tree and wheel.

lay_over() works on any directory of upstream's files. scripts/build_tree.py
gives it the unpacked archive and gets links, so that edits are live; setup.py
gives it the installed build requirement and gets copies. Whatever can be wrong
is found before the first file is written.
"""

import fnmatch
import hashlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from . import series
from .errors import EditedError, ToolError

# The directories of the repository that are laid over upstream's.
PARTS = ("django", "docs", "examples", "specs", "tests")
# Left behind by interpreters.
COMPILED = ("__pycache__", "*.py[co]")
# Left behind by editors, interpreters and example projects; never ours.
IGNORED = COMPILED + (".*", "*~", "*.orig", "*.rej", "*.sqlite3*", "_build")
IGNORED += ("node_modules", "*.egg-info")


@dataclass
class Record:
    """What a tree was made of, so that the next run can tell edits from age."""

    upstream: str = ""  # The sha256 of upstream's archive.
    pristine: str = ""  # The directory of its files, as seen from the repository.
    patched: dict = field(default_factory=dict)  # {path: sha256 of the result}
    patches: dict = field(default_factory=dict)  # {name: sha256 of the body}
    laid: list = field(default_factory=list)  # The paths of our files.
    edited: list = field(default_factory=list)  # The patched paths left as they are.


def sha(content):
    """Return the sha256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def walk(top, part="", ignored=COMPILED):
    """Return the sorted paths, relative to ``top``, of the files under ``part``."""

    def wanted(name):
        return not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)

    found = []
    for directory, names, files in os.walk(os.path.join(top, part)):
        names[:] = filter(wanted, names)
        found += [os.path.join(directory, name) for name in filter(wanted, files)]
    return sorted(os.path.relpath(path, top).replace(os.sep, "/") for path in found)


def our_files(root, only=None):
    """Return the paths of the files that the repository lays over upstream."""
    parts = (only,) if only else PARTS
    return [path for part in parts for path in walk(root, part, IGNORED)]


def lay_over(
    root,
    pristine,
    tree,
    *,
    upstream="",
    only=None,
    link=False,
    previous=None,
    force=False,
):
    """
    Make ``tree`` of upstream's files, ours and the series; return its Record.

    ``pristine`` has the files whose archive has the sha256 ``upstream``,
    ``only`` limits everything to one top directory, ``previous`` is the Record
    of the last call for this tree. Work in the tree that would be lost raises
    EditedError; ``force`` drops it, as every other edit of upstream's files.
    """
    root, pristine, tree = Path(root), Path(pristine), Path(tree)
    previous = previous or Record()
    ours = our_files(root, only)
    refuse_upstream_paths(ours, pristine)
    patches = series.load(root)
    patched = series.apply(patches, pristine, only)
    fresh = not upstream or upstream != previous.upstream
    old = find_old(root, pristine, previous, fresh)
    edits = [] if force else find_edits(tree, old, patched, previous, fresh)
    if not force:
        lost = [path for path in edits if fresh or is_due(path, patched, previous)]
        refuse_losses(lost + (find_replaced_links(root, tree, ours) if link else []))
    for path in set(previous.laid) - set(ours):
        remove(tree, path, only_link=True)
    for path in walk(old) if fresh and previous.upstream else ():
        remove(tree, path)
    if fresh or force:
        copy_upstream(pristine, tree, only)
    for path in {*patched, *previous.patched} - set(edits):
        write(tree / path, patched.get(path, read(pristine / path)))
    for path in ours:
        place(root / path, tree / path, link)
    where = os.path.relpath(pristine, root) if upstream else ""
    results = {path: sha(content) for path, content in patched.items()}
    bodies = {patch.name: sha(patch.body.encode()) for patch in patches}
    return Record(upstream, where, results, bodies, ours, edits)


def refuse_upstream_paths(ours, pristine):
    """Raise ToolError for a file of ours on, above or below a path of upstream's."""
    checked = set()
    for path in ours:
        parents = [str(parent) for parent in Path(path).parents]
        for parent in set(parents) - checked:
            if (pristine / parent).is_file():
                raise ToolError(f"{path} is ours, but {parent} is a file upstream.")
        checked.update(parents)
        if os.path.lexists(pristine / path):
            raise ToolError(
                f"{path} exists upstream: change it by a patch, not by a file of ours."
            )


def find_old(root, pristine, previous, fresh):
    """Return the directory of the upstream files that the tree was made of."""
    if not fresh or not previous.upstream:
        return pristine
    old = root / previous.pristine
    if not old.is_dir():
        raise ToolError(
            f"The tree was made of another upstream, and {old} is gone: delete the "
            "tree and run scripts/build_tree.py again."
        )
    return old


def find_edits(tree, old, patched, previous, fresh):
    """
    Return the paths of upstream's whose text in the tree nobody generated.

    Only a new upstream needs the look at every file; otherwise those that
    patches touch are enough, because no other one is written.
    """
    if not previous.upstream:
        return []
    edits = []
    for path in walk(old) if fresh else sorted({*patched, *previous.patched}):
        if same_file(tree / path, old / path):
            continue
        content = read(tree / path)
        known = [content is None, content == read(old / path)]
        if content is not None:
            known.append(sha(content) == previous.patched.get(path))
            known.append(not fresh and content == patched.get(path))
        if not any(known):
            edits.append(path)
    return edits


def is_due(path, patched, previous):
    """Say whether the series now gives another text than the last time."""
    return path not in patched or sha(patched[path]) != previous.patched.get(path)


def find_replaced_links(root, tree, ours):
    """Return the paths of ours where the tree has another file, not a link."""
    return [
        path
        for path in ours
        if not (tree / path).is_symlink()
        and (tree / path).is_file()
        and read(tree / path) != read(root / path)
    ]


def refuse_losses(paths):
    """Raise EditedError when there are paths whose text would be overwritten."""
    if paths:
        raise EditedError(
            f"{', '.join(paths)} would lose what was edited in the built tree: export "
            "it with scripts/patches.py refresh, or copy it into the repository, or "
            "drop it with scripts/build_tree.py --force."
        )


def same_file(one, other):
    """Say whether two files have the same size and time, as copies have."""
    try:
        one, other = os.stat(one), os.stat(other)
    except OSError:
        return False
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def read(path):
    """Return the bytes of a file, None if there is none."""
    return path.read_bytes() if path.is_file() else None


def remove(tree, path, only_link=False):
    """Delete a file of the tree and the directories that it leaves empty."""
    path = tree / path
    if path.is_symlink() or (path.is_file() and not only_link):
        path.unlink()
    for directory in path.parents:
        if directory == tree or not directory.is_dir():
            break
        if {entry.name for entry in directory.iterdir()} - {"__pycache__"}:
            break
        shutil.rmtree(directory)


def copy_upstream(pristine, tree, only):
    """Copy upstream's files, times included, over whatever stands there."""
    for path in walk(pristine, only or ""):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        if not same_file(tree / path, pristine / path):
            (tree / path).unlink(missing_ok=True)  # A link would be followed.
            shutil.copy2(pristine / path, tree / path)


def write(path, content):
    """Give a file its content, in one step, if there is one and it differs."""
    if content not in (None, read(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        beside.write_bytes(content)
        os.replace(beside, path)


def place(source, target, link):
    """Make ``target`` a relative link to ``source``, or a copy of it."""
    if not link:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        return
    wanted = os.path.relpath(source, target.parent)
    if target.is_symlink() and os.readlink(target) == wanted:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(target):
        target.unlink()
    target.symlink_to(wanted)
