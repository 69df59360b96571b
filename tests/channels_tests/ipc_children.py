"""Processes that use the ipc layer's store beside that of a test."""

import os
import select
import signal
import unittest
from pathlib import Path

from django.test.layer_conformance.children import fork_quietly

from .ipc import IPCTests
from .utils import TIMEOUT

MEGABYTE = 1024 * 1024


class Child:
    """
    A forked process that runs a function with a store of its own.

    The function gets the store and another one to say something by, once.
    """

    def __init__(self, make_store, function):
        self._read, write = os.pipe()
        self.pid = fork_quietly()
        if self.pid:
            os.close(write)
            return
        code = 1
        try:
            store = make_store()
            store.renew()
            function(store, lambda text="": os.write(write, text.encode() or b"."))
            code = 0
        finally:
            os._exit(code)

    def hear(self):
        """Return what it says, or "" if it has ended; kill it if it does neither."""
        if not select.select([self._read], [], [], TIMEOUT)[0]:
            self.kill()
            raise AssertionError(f"A child said nothing for {TIMEOUT} s.")
        return os.read(self._read, 4096).decode()

    def kill(self):
        """Kill it, wherever it is."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self):
        """Return its exit code."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self._read)
        return status


@unittest.skipUnless(hasattr(os, "fork"), "Processes are forked here.")
class ForkingTests(IPCTests):
    """For tests that start children, each with a store on the same path."""

    def start(self, function, **options):
        def make_store():
            # Not what the parent has: its own is let go of as layers do it.
            for store in self.made:
                store.leave()
            return self.make_store(**options)

        return Child(make_store, function)

    def setUp(self):
        super().setUp()
        self.made = []

    def open(self, **options):
        store = self.make_store(**options)
        self.made.append(store)
        self.assertIs(store.renew(), True)
        return store

    def files(self, suffix):
        return list(Path(self.path).glob(f"*/*{suffix}"))

    def send(self, store, queue, *payloads, capacity=10**6):
        return store.append([(queue, capacity, list(payloads))])[0]

    def take(self, store, queue, limit=10**6):
        return [entry.payload for _, entry in store.take([queue], limit)]

    def assertSound(self, store, queue):
        statistics = store.statistics(queue)
        keys = ("delivered_count", "dropped_count", "expired_count")
        total = sum(statistics[key] for key in keys) + statistics["messages_pending"]
        self.assertEqual(statistics["messages_count"], total)
        return statistics
