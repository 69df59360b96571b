"""
Journals: files that have what a role did, line by line, whatever ends it.

In: roles.py, one call for each event. Out: conductor.py, which reads them all.
Times are nanoseconds of the machine's monotonic clock, the same for everybody.
"""

import json
import os
import time


def now():
    """Return the time in nanoseconds."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Journal:
    """The file of one role. Each line is written by one call, or not at all."""

    def __init__(self, path):
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._descriptor = os.open(path, flags, 0o600)

    def note(self, event, *details):
        """Write one event down."""
        line = json.dumps([event, now(), *details]) + "\n"
        os.write(self._descriptor, line.encode())

    def close(self):
        """Release the file."""
        os.close(self._descriptor)


class Tail:
    """What was added to a journal since the last look."""

    def __init__(self, path):
        self._path = path
        self._offset = 0

    def events(self):
        """Return the new events; a line that is not complete waits."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        complete = data.rfind(b"\n") + 1
        self._offset += complete
        return [json.loads(line) for line in data[:complete].splitlines()]
