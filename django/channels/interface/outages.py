"""
Tells the log why a layer takes nothing, while clients get 503 and 1013.

In: the LayerUnavailable of sends in dispatch.py and wsgi.py. Out: the log.
"""

import logging
import time

# Seconds in which a layer that still fails is not told of again.
SILENT_SECONDS = 10.0

logger = logging.getLogger("django.channels.interface")


class Outages:
    """The failures of one layer. It is safe in threads: one line too many at most."""

    def __init__(self):
        self._silent_until = 0

    def note(self, channel, error):
        """Log why nothing can be sent to a channel, unless that was told lately."""
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + SILENT_SECONDS
            logger.error("Cannot send to %s: %s", channel, error)
