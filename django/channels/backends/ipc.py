"""
The channel layer of one machine: every process of one user, and no server.

What processes share is an LMDB file in memory, see lmdb_store. The rest is that
of all layers that span processes.
"""

import os

from django.channels.exceptions import InvalidChannelLayerError

from .lmdb_store import place
from .lmdb_store.store import LMDBStore
from .shared.layer import SharedChannelLayer

# How large the file of a layer may become, in bytes.
DEFAULT_SIZE = 256 * 1024 * 1024


class IPCChannelLayer(SharedChannelLayer):
    """
    A channel layer for the processes of one user on one machine.

    ``path`` is a directory that it makes; by default one for this user and this
    site, in memory if the system has such a place. ``size`` is how many bytes
    the file may have there.
    """

    def __init__(self, path=None, size=DEFAULT_SIZE, **options):
        place.import_lmdb()
        self.path = str(place.default_path() if path is None else _check_path(path))
        self.size = _check_size(size)
        super().__init__(**options)

    def make_store(self):
        return LMDBStore(self.path, self.size, self.expiry)


def _check_path(path):
    if not isinstance(path, (str, os.PathLike)) or not os.path.isabs(path):
        raise InvalidChannelLayerError(
            f"path must be the absolute path of a directory, not {path!r}."
        )
    return os.fspath(path)


def _check_size(size):
    if isinstance(size, bool) or not isinstance(size, int) or size < place.MIN_SIZE:
        raise InvalidChannelLayerError(
            f"size must be a number of bytes, {place.MIN_SIZE} at least, not {size!r}."
        )
    return size
