"""
The pinned upstream release: where it is written down, fetched and unpacked.

The archive comes from the package index by name, through pip, so that the
user's own index, proxy and cache settings apply.
"""

import configparser
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .errors import ToolError

PIN = "patches/upstream.ini"
DOWNLOAD_SECONDS = 600  # An index that answers slower than this has failed.


@dataclass(frozen=True)
class Pin:
    """One upstream release, by content, and the branch's local version."""

    name: str
    version: str
    archive: str
    sha256: str
    local: str

    @property
    def branch_version(self):
        return f"{self.version}+{self.local}"

    @property
    def directory(self):
        return self.archive.removesuffix(".tar.gz")


def read_pin(root):
    """Return the Pin that ``patches/upstream.ini`` under ``root`` describes."""
    parser = configparser.ConfigParser()
    path = Path(root, PIN)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        return Pin(**parser["upstream"], **parser["branch"])
    except (OSError, configparser.Error, KeyError, TypeError) as error:
        raise ToolError(f"{path} cannot be read as a pin: {error}.") from error


def digest(path):
    """Return the sha256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        result = hashlib.sha256()
        for block in iter(lambda: file.read(1 << 20), b""):
            result.update(block)
    return result.hexdigest()


def download(requirement, directory, python=sys.executable, extra=()):
    """Fetch the source archive of one requirement by pip; return its path."""
    name = requirement.partition("==")[0]
    command = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    command += ["download", "--no-deps", "--no-binary", name]
    command += ["--dest", str(directory), *extra, requirement]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"pip could not download {requirement}: {error}.") from error
    archives = sorted(Path(directory).glob("*.tar.gz"))
    if done.returncode or len(archives) != 1:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR:")]
        reason = (errors or lines or ["no archive arrived"])[-1]
        raise ToolError(f"pip could not download {requirement}: {reason}")
    return archives[0]


def fetch(pin, cache, download=download):
    """
    Return the path of the verified archive in the directory ``cache``.

    An archive that is there already is taken if its sha256 is the pinned one
    and fetched again if not.
    """
    target = Path(cache, pin.archive)
    if target.exists() and digest(target) == pin.sha256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as directory:
        archive = download(f"{pin.name}=={pin.version}", directory)
        if archive.name != pin.archive:
            raise ToolError(
                f"The index has {archive.name} where {PIN} pins {pin.archive}."
            )
        found = digest(archive)
        if found != pin.sha256:
            raise ToolError(
                f"{pin.archive} has the sha256 {found}, but {PIN} pins {pin.sha256}."
            )
        os.replace(archive, target)
    return target


def unpack(archive, target):
    """Unpack an archive that has one top directory, which becomes ``target``."""
    target = Path(target)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unpack-") as place:
        try:
            with tarfile.open(archive) as file:
                if hasattr(tarfile, "data_filter"):
                    file.extraction_filter = tarfile.data_filter
                file.extractall(place)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise ToolError(f"{archive} cannot be unpacked: {error}.") from error
        tops = list(Path(place).iterdir())
        if len(tops) != 1 or not tops[0].is_dir():
            raise ToolError(f"{archive} does not have exactly one top directory.")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(tops[0], target)
    return target
