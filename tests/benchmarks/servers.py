"""A server process: started on a free port, watched, and ended."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

from lib.errors import ToolError

# Seconds within which a server must accept connections, or end.
START_SECONDS = 30
STOP_SECONDS = 10
POLL_SECONDS = 0.02
# Ports below those that the system gives to clients: nobody gets one by chance before
# its server has it.
PORTS = range(10240, 22000)


def free_port():
    """Return a port of the loopback address that nobody listens on."""
    while True:
        port = random.choice(PORTS)
        # OSError: somebody does.
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Server:
    """
    A command that serves on a port, in a session of its own.

    ``{port}`` in the command is replaced by the port. As a context manager, it
    is started and ended.
    """

    def __init__(self, command, env, cwd, log):
        self.port = free_port()
        self.log = Path(log)
        self._command = [str(part).format(port=self.port) for part in command]
        self._env = env
        self._cwd = cwd

    def __enter__(self):
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self._env,
                cwd=self._cwd,
            )
        try:
            self._await_port()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exc_info):
        self._end()

    @property
    def pid(self):
        """The id of its first process."""
        return self._process.pid

    def cpu_seconds(self):
        """Return the CPU seconds that the server's processes have used."""
        return session_cpu_seconds(self._process.pid)

    def _await_port(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(POLL_SECONDS)
        raise ToolError(
            f"{' '.join(self._command)} does not serve: see {self.log} for what it "
            "wrote."
        )

    def _end(self):
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()


def session_cpu_seconds(session):
    """Return the CPU seconds that the living processes of a session have used."""
    return sum(
        seconds
        for pid, seconds in cpu_seconds_by_process().items()
        if session_of(pid) == session
    )


def session_of(pid):
    """Return the session of a process, None if it has ended."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def cpu_seconds_by_process():
    """
    Return the CPU seconds that each living process has used, by its id.

    /proc/stat has the whole machine's, but counts in ticks, in which processes
    that only ever run shortly are over- or underrated.
    """
    pids = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    return {pid: process_cpu_seconds(pid) for pid in pids}


def process_cpu_seconds(pid):
    """Return the CPU seconds of a process with all of its threads."""
    try:
        # The clock of another process, as clock_getcpuclockid(3) computes it.
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0
