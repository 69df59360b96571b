"""
Where the store is: its directories, whose they are, and who may change them.

In: files.py, processes.py and the layer. Out: the file system.

A layer's path holds one directory for each version of the format and each boot
of the machine: processes of another version go on with their own, and what is
from before a boot is deleted. In it are LMDB's two files and, for each process,
a file that it keeps locked and the socket that it is rung by.
"""

import fcntl
import hashlib
import os
import stat
import tempfile
import threading
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from django.channels.exceptions import InvalidChannelLayerError, LayerUnavailable

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


def import_lmdb():
    """Return lmdb, or raise InvalidChannelLayerError with what to install."""
    try:
        return import_module("lmdb")
    except ImportError as error:
        raise InvalidChannelLayerError(
            "The ipc channel layer needs lmdb, which cannot be imported "
            f"({error}). Install it with: pip install 'Django[ipc]'"
        ) from error


# Directories.


def default_path():
    """
    Return the path for this user and this site.

    A site is a settings module and the directory that it is in.
    """
    from django.conf import ENVIRONMENT_VARIABLE, settings

    # Settings that a test overrides do not know where they are from.
    name = settings.SETTINGS_MODULE or os.environ.get(ENVIRONMENT_VARIABLE)
    file = getattr(import_module(name), "__file__", None) if name else None
    if file is None:
        raise InvalidChannelLayerError(
            "The ipc channel layer takes its place from the settings module, and "
            "there is none. Give it a path."
        )
    site = f"{name}:{os.path.realpath(file)}"
    digest = hashlib.sha256(site.encode()).hexdigest()[:12]
    memory = Path(SHARED_MEMORY)
    if memory.is_dir() and os.access(memory, os.W_OK):
        return memory / f"django-channels-{os.geteuid()}-{name}-{digest}"
    # Short, because names of sockets are: a temporary directory may be a long one.
    return Path(tempfile.gettempdir()) / f"dc-{os.geteuid()}-{digest}"


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


def unlink(path):
    """Delete a file if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
