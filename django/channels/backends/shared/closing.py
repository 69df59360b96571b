"""
Closing names of an inbox, with what waits for them.

In: names to close, from layer.py. Out: the inbox; the store where it has to be
looked at, once for all names that are closed meanwhile.
"""

import asyncio
import logging

logger = logging.getLogger("django.channels")


class Closer:
    """Closes names of this process's inboxes. ``name`` is the layer's, for the log."""

    def __init__(self, name, owner, reader):
        self._name = name
        self._owner = owner
        self._reader = reader

    def close(self, inbox, names):
        """Close names; return whether the store could be looked at."""
        # Somebody who waits drops by himself what comes for names that are closed.
        is_read = inbox.is_made() and inbox.name in self._owner.bell.names()
        with inbox.lock:
            fetched = is_read or self._reader.fetch(inbox)
            for name in names:
                self._owner.leave(inbox, inbox.close(name))
            others = inbox.has_messages()
        if others:
            # Their reader sleeps, and nothing rings for them any more.
            self._owner.bell.wake(inbox.name)
        return fetched

    async def aclose(self, inbox, name):
        """Close a name on an event loop, also if the caller is cancelled."""
        if self._close_at_once(inbox, name):
            return
        try:
            # Who reads it, and has this task go on, is about to wait again.
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            inbox.closing.append(name)
            self._owner.courier.errand(self._close_unwatched, inbox)
            raise
        if not self._close_at_once(inbox, name):
            inbox.closing.append(name)
            await self._owner.courier.call(self._close_waiting, inbox)

    def _close_at_once(self, inbox, name):
        """Close a name if nothing is to be waited for; return whether it is done."""
        # See close(). Members of groups are the store's to know.
        is_read = inbox.name in self._owner.bell.names()
        if not is_read or not inbox.lock.acquire(blocking=False):
            return False
        try:
            if inbox.is_member(name):
                return False
            inbox.close(name)
        finally:
            inbox.lock.release()
        return True

    def _close_waiting(self, inbox):
        """Close what is to be closed by now, with one look at the store."""
        names = []
        while inbox.closing:
            names.append(inbox.closing.popleft())
        if names:
            self.close(inbox, names)

    def _close_unwatched(self, inbox):
        """See _close_waiting(). Only the log hears of a failure."""
        try:
            self._close_waiting(inbox)
        except Exception:
            logger.exception(
                "%s cannot drop what waits for closed names of %s.",
                self._name,
                inbox.name,
            )
