"""Handlers of signals that are a process's own."""

import os
import subprocess
import sys
import unittest

from django.test import SimpleTestCase

from .utils import TIMEOUT

# Forks a child that gets a signal before anything of it has run, but for that.
FORK = """
import os
import signal

os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))

from django.channels.own_signals import set_own_handler

set_own_handler(signal.SIGTERM, lambda *args: None)
pid = os.fork()
if pid == 0:
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""


@unittest.skipUnless(hasattr(os, "fork"), "This system has no fork().")
class ForkTests(SimpleTestCase):
    def test_a_signal_ends_a_child_from_its_first_moment_on(self):
        done = subprocess.run(
            [sys.executable, "-c", FORK], stdout=subprocess.PIPE, timeout=TIMEOUT
        )
        self.assertEqual(done.stdout.decode().split(), ["-15", "set()"])
