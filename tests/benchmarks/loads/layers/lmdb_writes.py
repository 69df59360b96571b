"""LMDB alone, in shared memory: one transaction for each write of 100 bytes."""

import itertools

from threads import repeat

# The writes go round in a ring of so many keys.
KEYS = 10_000
MAP_BYTES = 64 * 1024 * 1024


class Writes:
    """A process that writes."""

    def __init__(self, layer, commands, spec):
        import lmdb

        self.commands = commands
        self.database = lmdb.open(
            spec["address"], map_size=MAP_BYTES, sync=False, writemap=True
        )

    def run(self):
        """Do what the harness asks for, for ever."""
        while True:
            name, arguments = self.commands.next()
            self.commands.answer(result=getattr(self, name)(**arguments))

    def writes(self, seconds):
        """Write for a time."""
        keys = itertools.cycle(b"%08d" % number for number in range(KEYS))
        begin, value = self.database.begin, b"x" * 100

        def once():
            with begin(write=True) as transaction:
                transaction.put(next(keys), value)

        return repeat(once, seconds)
