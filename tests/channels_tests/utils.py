"""What tests of several modules need."""

from unittest import mock

# Seconds in which whatever a test waits for happens, on the slowest machine.
TIMEOUT = 10


def patch_for(test, target, name, value):
    """Have ``target.name`` be ``value`` until the test ends."""
    patcher = mock.patch.object(target, name, value)
    patcher.start()
    test.addCleanup(patcher.stop)
