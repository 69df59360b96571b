"""
What a server may have given in replies that were lost.

In: listener.py, as a read ends without its reply, or nobody accepts what it brought.
Out: inboxes, of which processes.py has the server give again what it gave.
"""

import threading
from contextlib import contextmanager


class Losses:
    """The inboxes of such reads on a shard."""

    def __init__(self, shard):
        self._shard = shard
        self._lock = threading.Lock()
        # None if there was no such read; it may have had no inbox, but the bell.
        self._inboxes = None

    @property
    def are_known(self):
        """Is there something to mend?"""
        return self._inboxes is not None

    def note(self, inboxes):
        """Have what these were given count as lost."""
        with self._lock:
            self._inboxes = frozenset(inboxes).union(self._inboxes or ())

    @contextmanager
    def mending(self, bell):
        """
        Provide the inboxes, of which nothing is lost if this does not fail.

        The server may still have such a read, of this bell: it is ended.
        """
        with self._lock:
            inboxes, self._inboxes = self._inboxes or (), None
        try:
            self._shard.run("ring_self", bell)
            yield inboxes
        except BaseException:
            self.note(inboxes)
            raise
