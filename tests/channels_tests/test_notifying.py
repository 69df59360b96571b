"""What runworker tells systemd."""

import os
import signal
import socket
import sys
import tempfile
from unittest import mock, skipUnless

from django.channels.worker.notifying import notify_ready
from django.test import SimpleTestCase

from .utils import TIMEOUT
from .workers import WorkersTestCase


def listen(test, address):
    """Return a socket as systemd has it."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    test.addCleanup(listener.close)
    listener.settimeout(TIMEOUT)
    listener.bind(address)
    return listener


@skipUnless(os.name == "posix", "There are no Unix sockets on this system.")
class NotifyingTests(SimpleTestCase):
    @skipUnless(sys.platform == "linux", "Only Linux has abstract sockets.")
    def test_an_abstract_socket_is_told(self):
        name = f"notify-{os.urandom(8).hex()}"
        listener = listen(self, f"\0{name}")
        with mock.patch.dict(os.environ, NOTIFY_SOCKET=f"@{name}"):
            notify_ready()
        self.assertEqual(listener.recv(100), b"READY=1")

    def test_nobody_is_told_without_a_socket(self):
        environ = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}
        with mock.patch.dict(os.environ, environ, clear=True):
            with mock.patch("socket.socket") as opened:
                notify_ready()
        opened.assert_not_called()

    def test_a_socket_that_is_gone_is_logged(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        address = os.path.join(directory.name, "gone")
        with mock.patch.dict(os.environ, NOTIFY_SOCKET=address):
            with self.assertLogs("django.channels.worker", "WARNING") as logged:
                notify_ready()
        self.assertIn(f"Cannot tell NOTIFY_SOCKET {address!r}: ", logged.output[0])


class ServiceTests(WorkersTestCase):
    def test_the_supervisor_tells_once_that_workers_are_ready(self):
        address = os.path.join(self.path, "notify")
        listener = listen(self, address)
        process = self.start("--processes=2", NOTIFY_SOCKET=address)
        self.assertEqual(listener.recv(100), b"READY=1")
        self.send_numbers("work", 1)
        self.assertEqual(self.numbers(1), [0])
        process.send_signal(signal.SIGHUP)
        process.wait_for_line("Starting fresh worker processes.")
        self.assertEnds(process)
        listener.setblocking(False)
        with self.assertRaisesMessage(BlockingIOError, ""):
            listener.recv(100)
