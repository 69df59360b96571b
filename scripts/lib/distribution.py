"""What the wheel takes from the installed upstream besides its package."""

import importlib.metadata
import shutil
from pathlib import Path

from .errors import ToolError

PACKAGE = "django"
LICENSES = "licenses"


def find_upstream(pin):
    """Return the installed distribution of the pinned upstream release."""
    found = set()
    for distribution in importlib.metadata.distributions(name=pin.name):
        if distribution.version == pin.version:
            return distribution
        found.add(distribution.version)
    raise ToolError(
        f"The build needs {pin.name}=={pin.version} installed beside setuptools, and "
        f"there is {' and '.join(sorted(found)) or 'none'}: build without "
        "--no-build-isolation, or install it first."
    )


def copy_licenses(distribution, distinfo):
    """Copy the licenses of a distribution into another's; return their names."""
    names = []
    for file in distribution.files or ():
        if LICENSES in file.parts[:-1]:
            name = f"{PACKAGE}/{file.name}"
            target = Path(distinfo, LICENSES, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file.locate(), target)
            names.append(name)
    return sorted(names)


def declare_licenses(distinfo, names):
    """Add the names to those that the metadata lists."""
    metadata = Path(distinfo, "METADATA")
    text = metadata.read_text(encoding="utf-8")
    head, mark, tail = text.rpartition("\nLicense-File: ")
    last, newline, rest = tail.partition("\n")
    added = "".join(f"License-File: {name}\n" for name in names)
    metadata.write_text(head + mark + last + newline + added + rest, encoding="utf-8")
