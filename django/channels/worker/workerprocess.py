"""
A worker process under a supervisor, seen from inside.

In: three descriptors that childprocess.py leaves open, named in an environment
variable, and SIGTERM. Out: a byte when the workers are ready, another when at the
end nothing is left to put back, and an exit code.
"""

import contextlib
import faulthandler
import logging
import os
import signal
import socket
import threading

from django.channels.freezing import freeze_start
from django.channels.own_signals import set_own_handler
from django.channels.worker.journal import Journal
from django.channels.worker.outgoing import Outgoing
from django.channels.worker.reports import following

# The variable: the descriptors of the line to the supervisor, of the journal and of
# what is outgoing.
VARIABLE = "DJANGO_CHANNELS_WORKER"
# What goes over the line: the workers are ready; what they will not begin is back
# on the layer.
READY, GIVEN_BACK = b"r", b"g"
# Exit codes: a consumer was cut off at the end, or ran past its time limit. Others
# are those of consumers, which rather take small numbers.
CUT_OFF, OVERDUE = 113, 114

logger = logging.getLogger("django.channels.worker")


def is_supervised():
    """Return whether this process was started by a supervisor."""
    return VARIABLE in os.environ


def describe_exit(code):
    """Return in some words how a worker process ended."""
    if code == CUT_OFF:
        return "cut off a consumer that did not finish in time"
    if code == OVERDUE:
        return "ended because of a consumer past its time limit"
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


class WorkerProcess:
    """The line to the supervisor, and the files that it reads."""

    def __init__(self):
        # What consumers start is no worker process.
        descriptors = [*map(int, os.environ.pop(VARIABLE).split(","))]
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._line = socket.socket(fileno=descriptors[0])
        self.journal = Journal(descriptors[1])
        self.outgoing = Outgoing(descriptors[2])
        following.journal = self.journal
        self._group = None
        self._is_overdue = False

    def run(self, group, timeout):
        """
        Run a WorkerGroup until the supervisor says to end, or ends itself.

        Running consumers have ``timeout`` seconds then. Return the exit code.
        """
        self._group = group
        # Ctrl-C at a terminal comes to all processes: the supervisor decides, also
        # for what consumers start.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        set_own_handler(signal.SIGTERM, lambda *args: group.end())
        group.wake_on_signals()
        group.on_given_back = self._tell_given_back
        # The supervisor aborts a process in which no thread can move.
        faulthandler.enable()
        threading.Thread(target=self._listen, daemon=True).start()
        freeze_start()
        group.start()
        self._line.send(READY)
        done = group.wait(timeout)
        if self._is_overdue:
            return OVERDUE
        return 0 if done else CUT_OFF

    def end_overdue(self):
        """End the group: a consumer keeps one of its threads."""
        self._is_overdue = True
        self._group.end()

    def _tell_given_back(self):
        # A supervisor that was killed needs to know nothing.
        with contextlib.suppress(ConnectionError):
            self._line.send(GIVEN_BACK)

    def _listen(self):
        """Wait for the end of the supervisor, which never says anything."""
        try:
            self._line.recv(1)
        except OSError as error:
            logger.debug("The line to the supervisor broke: %s", error)
        self._group.end()
