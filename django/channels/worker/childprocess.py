"""
A worker process, seen from its supervisor.

In: calls of supervisor.py. Out: a process of its own, with workerprocess.py in it.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time

from django.channels.worker.journal import Journal, create_file
from django.channels.worker.outgoing import Outgoing
from django.channels.worker.workerprocess import GIVEN_BACK, READY, VARIABLE

# Seconds that a process that is to end has beyond those for its consumers.
GRACE_SECONDS = 3.0


class ChildProcess:
    """
    A process of a command, which starts now, for a place of a supervisor.

    Raise OSError if it cannot be started.
    """

    def __init__(self, command, place):
        self.place = place
        self.is_ending = False
        # When it was ready, None before.
        self._ready_since = None
        self._has_given_back = False
        # When it is to be killed, if it is.
        self.kill_at = None
        self._is_aborted = False
        # Its end of the line is open as long as this process lives.
        self.line, theirs = socket.socketpair()
        self.line.setblocking(False)
        self.journal = Journal(create_file())
        self._outgoing = Outgoing(create_file())
        files = theirs.fileno(), self.journal.fileno(), self._outgoing.fileno()
        try:
            self._popen = subprocess.Popen(
                command,
                env={**os.environ, VARIABLE: ",".join(map(str, files))},
                pass_fds=files,
            )
        except BaseException:
            self.close()
            raise
        finally:
            theirs.close()

    @property
    def pid(self):
        """The id of the process."""
        return self._popen.pid

    @property
    def is_ready(self):
        """Whether its workers run, or did."""
        return self._ready_since is not None

    def ready_seconds(self):
        """Return for how long it has been ready, None if it never was."""
        return time.monotonic() - self._ready_since if self.is_ready else None

    def poll(self):
        """Return the exit code, negative for a signal, or None while it runs."""
        return self._popen.poll()

    def wait(self):
        """Wait for its end."""
        self._popen.wait()

    def hear(self):
        """Note and return the bytes that it has told, none if it is about to end."""
        try:
            heard = self.line.recv(16)
        except ConnectionError:
            return b""
        if READY in heard:
            self._ready_since = time.monotonic()
        self._has_given_back |= GIVEN_BACK in heard
        return heard

    def stands_still(self, seconds):
        """Return whether it is ready and has not moved for so many seconds."""
        if seconds is None or not self.is_ready or self._is_aborted:
            return False
        return time.monotonic() - self.journal.last_beat() >= seconds

    def end(self, seconds):
        """Have it finish what runs, for so many seconds at the most."""
        if not self.is_ending:
            self.is_ending = True
            self.kill_at = time.monotonic() + seconds + GRACE_SECONDS
            self._popen.terminate()

    def abort(self):
        """End it now, with the stacks of its threads on standard error."""
        self._is_aborted = True
        self._popen.send_signal(signal.SIGABRT)

    def let_give_back(self, deadline):
        """
        Wait until what it had fetched is back on the layer, if it was told to end.

        Return at the deadline, on the clock time.monotonic(), at the latest.
        """
        is_giving = self.is_ending and self.is_ready and not self._has_given_back
        while is_giving and (left := deadline - time.monotonic()) > 0:
            self.line.settimeout(left)
            with contextlib.suppress(TimeoutError):
                is_giving = bool(self.hear()) and not self._has_given_back

    def kill(self):
        """End it now."""
        self.is_ending, self.kill_at = True, None
        self._popen.kill()

    def close(self):
        """
        Release what is open for it.

        Return what it had not begun, what servers waited for, see Journal, and what
        was to be sent, see Outgoing.
        """
        try:
            journal = self.journal
            return journal.rest(), journal.awaited(), self._outgoing.rest()
        finally:
            self.journal.close()
            self._outgoing.close()
            self.line.close()
