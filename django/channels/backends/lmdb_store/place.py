"""
Where the store is, and whether what is there can be used.

In: environment.py. Out: directories, and LMDB's files as they are opened.

A layer's path holds one directory for each version of the format and each boot
of the machine: processes of another version go on with their own, and what is
from before a boot is deleted. In it are LMDB's two files and, for each process,
a file that it keeps locked and the socket that it is rung by.
"""

import fcntl
import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
import threading
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, EIO, ENOSPC
from importlib import import_module
from pathlib import Path
from struct import Struct

from django.channels.exceptions import InvalidChannelLayerError, LayerUnavailable

from .records import FORMAT_VERSION

DATA_FILE = "data.mdb"
LOCK_FILE = "lock.mdb"
# Locked by a process that opens the store, or joins or leaves it.
DOOR_FILE = "door"
LIFE_SUFFIX = ".life"
BELL_SUFFIX = ".bell"

# The smallest store, in bytes.
MIN_SIZE = 1024 * 1024
# Memory that is a file system, on Linux. The same for every process of a user,
# which what is in the environment is not.
SHARED_MEMORY = "/dev/shm"
BOOT_ID = "/proc/sys/kernel/random/boot_id"

# Held in the door: a child that is forked there would keep it closed for ever.
door_lock = threading.RLock()

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


def import_lmdb():
    """Return lmdb, or raise InvalidChannelLayerError with what to install."""
    try:
        return import_module("lmdb")
    except ImportError as error:
        raise InvalidChannelLayerError(
            "The ipc channel layer needs lmdb, which cannot be imported "
            f"({error}). Install it with: pip install 'Django[ipc]'"
        ) from error


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


# Directories.


def default_path():
    """
    Return the path for this user and this site.

    A site is a settings module and the directory that it is in.
    """
    from django.conf import settings

    name = getattr(settings, "SETTINGS_MODULE", None)
    file = getattr(import_module(name), "__file__", None) if name else None
    if file is None:
        raise InvalidChannelLayerError(
            "The ipc channel layer takes its place from the settings module, and "
            "there is none. Give it a path."
        )
    site = os.path.realpath(file).encode()
    digest = hashlib.sha256(site).hexdigest()[:12]
    shared = Path(SHARED_MEMORY)
    if not (shared.is_dir() and os.access(shared, os.W_OK)):
        shared = Path(tempfile.gettempdir())
    return shared / f"django-channels-{os.geteuid()}-{name}-{digest}"


def boot_id():
    """Return a name for the time since the machine was started, or ""."""
    try:
        return Path(BOOT_ID).read_text().strip()
    except OSError:
        return ""


def normalize(path):
    """Return an absolute path without symbolic links on the way."""
    parent, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(parent), name)


def make_directory(path):
    """Make a directory for this user only; raise if it is somebody else's."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise LayerUnavailable(f"{path} is not a directory.")
    if status.st_uid != os.geteuid():
        raise LayerUnavailable(
            f"{path} belongs to the user with the id {status.st_uid}, and this "
            f"process to {os.geteuid()}. An ipc channel layer is for one user."
        )
    if status.st_mode & 0o022:
        raise LayerUnavailable(
            f"Others may write into {path}. Take that right from them: chmod 700."
        )


@contextmanager
def door(directory):
    """Be alone among those that open, join or leave, as long as it takes."""
    with door_lock:
        file = os.path.join(directory, DOOR_FILE)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


# Files.


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


def is_locked(file):
    """Return whether a process lives and holds the lock of a file."""
    try:
        descriptor = os.open(file, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


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
        if pages * page_size > length:
            file.truncate(pages * page_size)


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


def unlink(path):
    """Delete a file if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
