"""What tests of several modules need."""

import asyncio
import socket
from unittest import mock

from .processes import PATIENCE_SECONDS

# Seconds in which whatever a test waits for happens, on the slowest machine.
TIMEOUT = PATIENCE_SECONDS


def patch_for(test, target, name, value):
    """Have ``target.name`` be ``value`` until the test ends."""
    patcher = mock.patch.object(target, name, value)
    patcher.start()
    test.addCleanup(patcher.stop)


def keep_port(test, port):
    """
    Have nobody get a port of this machine by chance until the test ends.

    A server that asks for its number does: servers reuse addresses.
    """
    kept = socket.socket()
    test.addCleanup(kept.close)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", port))


def let_time_pass(seconds):
    """Set the clock of the running event loop forward; its timers go by it."""
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds
