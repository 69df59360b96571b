"""
The Lua scripts, which are the atomic steps of the store.

In: the files in the folder scripts/. Out: what shards.py loads into servers.
"""

import hashlib
from functools import lru_cache
from pathlib import Path

from ..shared.store import (
    LEASE_SECONDS,
    MEMORY_SECONDS,
    SINGLE_READER_MEMORY_SECONDS,
    UNCLAIMED_SECONDS,
)

FOLDER = Path(__file__).with_name("scripts")
# How long a server remembers the calls of a sender, for one that is repeated.
REPEAT_SECONDS = 120
# How long a server without any process remembers its generation, in seconds.
EPOCH_SECONDS = 30 * 86400

# What scripts know, in milliseconds.
CONSTANTS = {
    "REPEAT_MS": REPEAT_SECONDS,
    "EPOCH_MS": EPOCH_SECONDS,
    "LEASE_MS": LEASE_SECONDS,
    "MEMORY_MS": MEMORY_SECONDS,
    "SINGLE_READER_MEMORY_MS": SINGLE_READER_MEMORY_SECONDS,
    "UNCLAIMED_MS": UNCLAIMED_SECONDS,
}
# What the second or third line of a script begins with that uses other files.
USES = "-- Uses: "


class Script:
    """A script with all that it uses, and the name that servers give it."""

    def __init__(self, name):
        body = self._read(name)
        used = ["common"]
        for line in body.splitlines():
            if line.startswith(USES):
                used += line.removeprefix(USES).split()
        constants = [f"local {k} = {s * 1000}" for k, s in CONSTANTS.items()]
        parts = ["\n".join(constants) + "\n", *map(self._read, used), body]
        self.name = name
        self.text = "".join(parts)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def _read(self, name):
        return (FOLDER / f"{name}.lua").read_text()


@lru_cache(maxsize=None)
def get_script(name):
    """Return the script of a file."""
    return Script(name)
