"""
The process that loads a server, and the way it is talked to.

It connects, warms up and writes "ready". For every line with a number of seconds
it loads the server for that long and writes what it counted as JSON.
"""

import json
import subprocess
import threading
from pathlib import Path

from lib.errors import ToolError

from .figures import Measurement
from .servers import cpu_seconds_by_process

LOADS = Path(__file__).parent / "loads"
# Seconds that any step may take beyond its own: connecting, waiting for answers.
PATIENCE_SECONDS = 120
# A run is repeated, so often at the most, while other processes use more than
# this part of one core.
QUIET_SHARE = 0.1
TRIES = 5


class Loader:
    """
    Loads a server from a process of its own.

    ``name`` is a file of loads/ and ``options`` are its. As a context manager,
    it is started and ended; what goes wrong raises ToolError.
    """

    def __init__(self, environment, server, name, options):
        self._environment = environment
        self._server = server
        self._command = [environment.python, str(LOADS / f"{name}.py")]
        self._command += [f"--port={server.port}"]
        self._command += [f"--{option}={value}" for option, value in options.items()]

    def __enter__(self):
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment.environ(),
        )
        try:
            self._read_line()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info):
        self._process.kill()
        self._process.communicate()

    def load(self, seconds):
        """Load the server and return what the load counted, without a fault."""
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        result = json.loads(self._read_line())
        if result["faults"]:
            raise ToolError(
                f"{result['faults']} answers are wrong or missing, of "
                f"{result['operations']} (the server wrote {self._server.log})."
            )
        return result

    def measure(self, seconds):
        """Load the server and return the Measurement."""
        before, server = cpu_seconds_by_process(), self._server.cpu_seconds()
        result = self.load(seconds)
        server = self._server.cpu_seconds() - server
        grown = sum(
            seconds - before.get(pid, 0)
            for pid, seconds in cpu_seconds_by_process().items()
        )
        loader = result["cpu_seconds"]
        return Measurement(
            result["operations"],
            result["seconds"],
            server_cpu_seconds=server,
            loader_cpu_seconds=loader,
            other_cpu_seconds=grown - server - loader,
        )

    def measure_quietly(self, seconds):
        """
        Return the first Measurement that nothing else disturbed.

        If there is none in a few tries, return the least disturbed.
        """
        best = None
        for _ in range(TRIES):
            one = self.measure(seconds)
            if best is None or one.other_share < best.other_share:
                best = one
            if best.other_share <= QUIET_SHARE:
                break
        return best

    def _read_line(self):
        timer = threading.Timer(PATIENCE_SECONDS, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if not line:
            said = self._process.stderr.read().strip().splitlines()
            reason = said[-1] if said else f"no answer in {PATIENCE_SECONDS} s"
            raise ToolError(
                f"The load failed: {reason} (the server wrote {self._server.log})."
            )
        return line
