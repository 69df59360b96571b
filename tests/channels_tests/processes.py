"""
Real processes for tests: start one, wait for what it says, end it.

Nothing here sleeps or uses a fixed port: waits are for a line of output or for
the end of the process, with a deadline.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest import mock

import django
from django.core.management import call_command

# The checkout that the processes import Django from: the one under test.
ROOT = Path(django.__file__).absolute().parent.parent

# Seconds that a wait may take on a machine with much else to do.
PATIENCE_SECONDS = 60

# What the test runner sets for itself only.
PRIVATE_VARIABLES = ("DJANGO_SETTINGS_MODULE", "RUNNING_DJANGOS_TEST_SUITE")


class Process:
    """
    A command in a process group of its own, and all that it writes.

    As a context manager, it kills whatever of the group is left at the end.
    """

    def __init__(self, args, cwd=None, env=None):
        self.args = args
        self.lines = []
        self._ended = False
        self._changed = threading.Condition()
        self._popen = subprocess.Popen(
            args,
            cwd=cwd,
            env=_environment(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.kill()

    @property
    def pid(self):
        """The id of the process, and of its group."""
        return self._popen.pid

    @property
    def output(self):
        """All lines so far, standard output and error together."""
        with self._changed:
            return "".join(self.lines)

    def wait_for_line(self, pattern, count=1, timeout=PATIENCE_SECONDS):
        """
        Return the match of the ``count``-th line in which a regex is found.

        Raise AssertionError, with the output, if there is none in time.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or len(self._find(pattern)) >= count, timeout
            )
            matches = self._find(pattern)
        if len(matches) < count:
            raise AssertionError(
                f"{len(matches)} of {count} lines like {pattern!r} within {timeout} s "
                f"from {self.args}. It wrote:\n{self.output}"
            )
        return matches[count - 1]

    def interrupt(self):
        """Send what a terminal sends for Ctrl-C, to the whole group."""
        os.killpg(self.pid, signal.SIGINT)

    def send_signal(self, signum):
        """Send a signal to the process alone."""
        self._popen.send_signal(signum)

    def wait(self, timeout=PATIENCE_SECONDS):
        """
        Return the exit code when process and output have ended.

        Raise AssertionError, with the output, if they do not in time.
        """
        deadline = time.monotonic() + timeout
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        self._reader.join(max(0, deadline - time.monotonic()))
        if code is None or self._reader.is_alive():
            raise AssertionError(
                f"{self.args} has not ended within {timeout} s. It wrote:\n"
                f"{self.output}"
            )
        return code

    def kill(self):
        """Kill what is left of the group; do nothing if nothing is."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._popen.wait()
        self._reader.join()
        self._popen.stdout.close()

    def _read(self):
        for line in self._popen.stdout:
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _find(self, pattern):
        matches = (re.search(pattern, line) for line in self.lines)
        return [match for match in matches if match]


def _environment(extra):
    environ = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT), **extra}
    for name in PRIVATE_VARIABLES:
        if name not in extra:
            environ.pop(name, None)
    return environ


def start_project(directory, name="mysite"):
    """Have startproject make a project in a directory; return its package's path."""
    # As generated, not as a black that happens to be installed formats it.
    with mock.patch(
        "django.core.management.templates.find_formatters",
        return_value={"black_path": None},
    ):
        call_command("startproject", name, directory, verbosity=0)
    return Path(directory) / name


def manage(directory, *args, env=None):
    """Return the Process of a manage.py command."""
    command = [sys.executable, "manage.py", *args]
    return Process(command, cwd=directory, env=env)
