"""
How the harness talks to a process of a benchmark: a line of JSON each way.

``{"call": name, …}`` is answered by ``{"result": …}`` or ``{"error": …}``, one
after the other. ``{"call": "expect", "count": n}`` has no answer: it tells a
reader, while it reads, how much was sent. The process ends when its input does.
"""

import json
import os
import sys
import threading
from queue import SimpleQueue


class Commands:
    """What the harness wants."""

    def __init__(self):
        # How many messages come in this turn, as soon as that is known.
        self.expected = None
        self._waiting = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self):
        """Return (name, arguments) of the next call."""
        arguments = self._waiting.get()
        self.expected = None
        return arguments.pop("call"), arguments

    def answer(self, **answer):
        """Tell what came of it."""
        print(json.dumps(answer), flush=True)

    def _read(self):
        for line in sys.stdin:
            command = json.loads(line)
            if command["call"] == "expect":
                self.expected = command["count"]
            else:
                self._waiting.put(command)
        os._exit(0)


def describe(error):
    """Return an exception as one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
