"""What "scripts/patches.py check" holds the series to."""

import re
from pathlib import Path

from . import exporting, overlay, patching, series
from .errors import PatchError
from .upstream import read_pin

FIELDS = (
    "Subject",
    "Why",
    "Not otherwise possible",
    "Remove when",
    "Anchor",
    "Forwarded",
)
NAME = re.compile(r"(core|docs)/[a-z]+(-[a-z]+)*\.patch")
# Where the patches of each folder may change something.
FOLDERS = {"core": "django/", "docs": "docs/"}
MAX_CONCERNS = 6  # Patches in core/.
MAX_ADDED = 60  # Lines under django/, all patches together.
MAX_ADDED_TO_FILE = 12  # Lines in one file under django/.


def find_problems(root, pristine):
    """Return a sentence for everything that is wrong with the series."""
    names = series.read_names(root)
    problems = check_listing(root, names) + check_pin(root)
    patches = []
    for name in dict.fromkeys(names):
        try:
            patches.append(patching.parse(name, series.read_text(root, name)))
        except PatchError as error:
            problems.append(str(error))
    for patch in patches:
        problems += check_header(patch)
        problems += check_place(patch)
        problems += check_export(patch, pristine)
    return problems + check_owners(patches) + check_size(patches)


def check_listing(root, names):
    """Return what differs between the series and the files beside it."""
    problems = [
        f"patches/series names {name} twice."
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    problems += [
        f"patches/series names {name}, but a name is core/ or docs/, a slug without "
        "numbers, and .patch."
        for name in names
        if not NAME.fullmatch(name)
    ]
    known = {"series", "upstream.ini", *names}
    return problems + [
        f"patches/{path} is not in patches/series."
        for path in overlay.walk(Path(root, series.PATCHES))
        if path not in known
    ]


def check_pin(root):
    """Return whether the wheel is built from another release than the tree."""
    pin = read_pin(root)
    requirement = f'"{pin.name}=={pin.version}"'
    text = Path(root, "pyproject.toml").read_text(encoding="utf-8")
    if requirement in text:
        return []
    return [f"pyproject.toml does not require {requirement} for the build."]


def check_header(patch):
    """Return what is wrong with the header of one patch."""
    found = []
    for line in patch.header.splitlines():
        name, colon, value = line.partition(":")
        if colon and name in FIELDS:
            found.append([name, value.strip()])
        elif found and line.startswith(" "):
            found[-1][1] += line.strip()
        elif line:
            return [f"patches/{patch.name}: {line!r} is in no field of the header."]
    if tuple(name for name, _ in found) != FIELDS:
        wanted = ", ".join(f"{name}:" for name in FIELDS)
        return [f"patches/{patch.name}: the header must have, in order, {wanted}"]
    empty = [name for name, value in found if not value]
    return [f"patches/{patch.name}: {name}: is empty." for name in empty]


def check_place(patch):
    """Return the files that the folder of a patch does not allow it to change."""
    allowed = FOLDERS.get(patch.name.split("/")[0], "")
    return [
        f"patches/{patch.name} changes {diff.path}, which is not under {allowed}."
        for diff in patch.diffs
        if not diff.path.startswith(allowed)
    ]


def export(patch, pristine, read):
    """Return the text of a patch whose files now have the texts ``read(path)``."""
    body = ""
    for path in sorted(diff.path for diff in patch.diffs):
        old = series.upstream_text(pristine, patch, path)
        body += exporting.render(path, old, read(path))
    return patch.header + body if body else ""


def check_export(patch, pristine):
    """Return whether a patch does not apply or is not what refresh would write."""
    try:
        results = series.apply([patch], pristine)
        exported = export(patch, pristine, lambda path: results[path].decode())
    except PatchError as error:
        return [str(error)]
    if exported == patch.header + patch.body:
        return []
    return [
        f"patches/{patch.name} is not in the form that refresh writes: run "
        "scripts/build_tree.py and scripts/patches.py refresh."
    ]


def check_owners(patches):
    """Return the files that more than one patch changes."""
    owners = {}
    for patch in patches:
        for diff in patch.diffs:
            owners.setdefault(diff.path, []).append(patch.name)
    return [
        f"{path} is changed by {' and '.join(names)}; one file belongs to one patch."
        for path, names in owners.items()
        if len(names) > 1
    ]


def check_size(patches):
    """Return what of the series is larger than a set of hooks may be."""
    concerns = [patch.name for patch in patches if patch.name.startswith("core/")]
    added = sum(patch.count("+", "django/") for patch in patches)
    problems = []
    if len(concerns) > MAX_CONCERNS:
        problems.append(
            f"patches/core has {len(concerns)} patches; at most {MAX_CONCERNS} "
            "concerns are allowed."
        )
    if added > MAX_ADDED:
        problems.append(
            f"The series adds {added} lines under django/; at most {MAX_ADDED} are "
            "allowed."
        )
    return problems + [
        f"patches/{patch.name} adds {diff.count('+')} lines to {diff.path}; at most "
        f"{MAX_ADDED_TO_FILE} are allowed."
        for patch in patches
        for diff in patch.diffs
        if diff.path.startswith("django/") and diff.count("+") > MAX_ADDED_TO_FILE
    ]
