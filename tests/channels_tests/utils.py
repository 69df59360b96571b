"""What tests of several modules need."""

import asyncio
from unittest import mock

from .processes import PATIENCE_SECONDS

# Seconds in which whatever a test waits for happens, on the slowest machine.
TIMEOUT = PATIENCE_SECONDS


def patch_for(test, target, name, value):
    """Have ``target.name`` be ``value`` until the test ends."""
    patcher = mock.patch.object(target, name, value)
    patcher.start()
    test.addCleanup(patcher.stop)


def let_time_pass(seconds):
    """Set the clock of the running event loop forward; its timers go by it."""
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds
