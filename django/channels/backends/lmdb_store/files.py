"""
LMDB's files: whether they can be used, and what replaces them if not.

In: environment.py. Out: LMDB, and a warning for each file that was lost.
"""

import hashlib
import logging
import os
import re
import shutil
from errno import EDQUOT, EFBIG, EIO, ENOSPC
from pathlib import Path
from struct import Struct

from .place import (
    LIFE_SUFFIX,
    boot_id,
    door,
    import_lmdb,
    is_locked,
    make_directory,
    unlink,
)
from .records import FORMAT_VERSION

DATA_FILE = "data.mdb"
LOCK_FILE = "lock.mdb"

# LMDB says EIO for what was written in part.
_FULL_ERRORS = (ENOSPC, EDQUOT, EFBIG, EIO)
_OLD_RE = re.compile(r"v\d+-[0-9a-f]{8}\Z")

# The begin of LMDB's two meta pages on a 64-bit machine: page header, then magic,
# version, address, size; of the first tree the page size; the last page.
_META = Struct("=16xIIQQI92xQQ")
_MAGIC = 0xBEEFC0DE
_DATA_VERSION = 1
# More than a file that is sound says, in bytes.
_MAX_SIZE = 2**44

logger = logging.getLogger("django.channels")


def corrupt_errors():
    """Return the errors that say that a file cannot be used any more."""
    lmdb = import_lmdb()
    names = ("CorruptedError", "PageNotFoundError", "InvalidError", "BadTxnError")
    return tuple(getattr(lmdb, name) for name in names if hasattr(lmdb, name))


def is_full(error):
    """Return whether an error says that a disk or a quota is full."""
    if isinstance(error, OSError):
        return error.errno in _FULL_ERRORS
    text = str(error)
    return any(os.strerror(number) in text for number in _FULL_ERRORS)


def open_environment(path, size):
    """Return LMDB's environment, and the directory that it is in."""
    lmdb = import_lmdb()
    make_directory(path)
    boot = boot_id()
    name = f"v{FORMAT_VERSION}-{hashlib.sha256(boot.encode()).hexdigest()[:8]}"
    directory = os.path.join(path, name)
    with door(path):
        make_directory(directory)
        if boot:
            _delete_old(path, name)
        elif not any(map(is_locked, Path(directory).glob(f"*{LIFE_SUFFIX}"))):
            # Nobody can tell whether it is from before a boot.
            _delete_files(directory)
        for attempt in (1, 2):
            try:
                _check(directory)
                env = lmdb.open(
                    directory,
                    map_size=size,
                    mode=0o600,
                    sync=False,
                    metasync=False,
                    readahead=False,
                )
                return env, directory
            except corrupt_errors() as error:
                if attempt == 2:
                    raise
                _replace(directory, error)


def identify(directory):
    """Return what tells the files of a directory from later ones, or None."""
    try:
        status = os.stat(os.path.join(directory, DATA_FILE))
    except OSError:
        return None
    return status.st_dev, status.st_ino


def replace(path, directory, identity, error):
    """Delete the files, unless others did it."""
    with door(path):
        if identify(directory) == identity:
            _replace(directory, error)


def _replace(directory, error):
    logger.warning(
        "The store of the channel layer in %s could not be read, and was replaced by "
        "an empty one: %s",
        directory,
        error,
    )
    _delete_files(directory)


def _delete_files(directory):
    for name in (DATA_FILE, LOCK_FILE):
        unlink(os.path.join(directory, name))


def _delete_old(path, name):
    boot = name.partition("-")[2]
    for entry in os.listdir(path):
        if _OLD_RE.match(entry) and not entry.endswith(boot):
            shutil.rmtree(os.path.join(path, entry), ignore_errors=True)


def _check(directory):
    """
    Raise an error of LMDB if the data file is none, and make it long enough.

    LMDB maps the file, and a page behind its end would kill the process. The last
    pages may never have been written; if a page is missing that was, it reads as
    zeros, which LMDB notices.
    """
    try:
        file = open(os.path.join(directory, DATA_FILE), "r+b")
    except FileNotFoundError:
        return
    with file:
        length = os.fstat(file.fileno()).st_size
        if length == 0:
            return
        metas = _read_metas(file)
        if metas is None:
            return
        pages = max(last_page for _, last_page in metas) + 1
        page_size = metas[0][0]
        missing = pages * page_size - length
        if missing > 0 and hasattr(os, "posix_fallocate"):
            # Not truncate(): the file may have grown by now.
            os.posix_fallocate(file.fileno(), length, missing)


def _read_metas(file):
    """Return [(page size, last page), …], or None if it is of another engine."""
    invalid = import_lmdb().InvalidError
    metas = []
    for _ in range(2):
        data = file.read(_META.size)
        if len(data) < _META.size:
            raise invalid("The file is too short.")
        magic, version, _, map_size, page_size, last_page, _ = _META.unpack(data)
        if magic != _MAGIC:
            raise invalid("The file is not one of LMDB.")
        if version != _DATA_VERSION:
            return None
        sane = 256 <= page_size <= 65536 and page_size * (last_page + 1) <= map_size
        if not sane or map_size > _MAX_SIZE:
            raise invalid("The file has no valid beginning.")
        metas.append((page_size, last_page))
        file.seek(page_size)
    return metas
