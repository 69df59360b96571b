"""
What comes for one connection, in order, on its event loop.

In: replies, and news of the client. Out: the one task that waits for them.
"""

import asyncio
from collections import deque


class Arrivals:
    """A queue for one task, with no more than that needs."""

    def __init__(self):
        self._items = deque()
        self._waiter = None

    def put(self, item):
        """Add an item; call it on the loop."""
        self._items.append(item)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def get(self):
        """Return the next item, as soon as there is one."""
        while not self._items:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._items.popleft()
