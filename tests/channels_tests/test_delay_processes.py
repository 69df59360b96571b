"""rundelay as processes: two at a time, killed, stopped, and what they send."""

import shutil
import signal
import sqlite3
import tempfile
import time
from pathlib import Path

from django.channels.backends.ipc import IPCChannelLayer
from django.test import SimpleTestCase
from django.test.channel_layers import cites

from .ipc import require_lmdb
from .processes import PATIENCE_SECONDS, manage, start_project
from .services.waiting import wait_for

TABLE = "channels_delay_delayedmessage"

SETTINGS = """
INSTALLED_APPS.append("django.channels.delay")
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "django.channels.backends.ipc.IPCChannelLayer",
        "ROUTING": [],
        "CONFIG": %r,
    }
}
"""


class RundelayTests(SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        require_lmdb()
        super().setUpClass()
        cls.directory = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        package = start_project(cls.directory)
        cls.config = {"path": str(cls.directory / "layer"), "capacity": 1000}
        with (package / "settings.py").open("a") as settings:
            settings.write(SETTINGS % cls.config)
        with manage(cls.directory, "migrate", "channels_delay") as process:
            if process.wait() != 0:
                raise AssertionError(process.output)

    def setUp(self):
        self.layer = IPCChannelLayer(**self.config)
        self.addCleanup(self.layer.close)
        self.layer.flush()

    def run_command(self, *args):
        process = manage(self.directory, "rundelay", *args)
        self.addCleanup(process.kill)
        process.wait_for_line("Running delay against channel layer default")
        return process

    def ask(self, delay, **content):
        message = {"channel": "target", "delay": delay, "content": content}
        self.layer.send("asgi.delay", message)

    def receive(self):
        name, content = self.layer.receive(["target"], True, PATIENCE_SECONDS)
        self.assertEqual(name, "target")
        return content

    def count(self):
        """Return how many messages are in the database."""
        connection = sqlite3.connect(self.directory / "db.sqlite3")
        try:
            return connection.execute(f"SELECT COUNT(*) FROM {TABLE}").fetchone()[0]
        finally:
            connection.close()

    def execute(self, sql):
        """Execute SQL on the database."""
        connection = sqlite3.connect(self.directory / "db.sqlite3")
        with connection:
            connection.execute(sql)
        connection.close()

    @cites("DL-4", "whichever of them fail")
    def test_a_killed_one_leaves_its_messages_to_the_others(self):
        killed = self.run_command("--sleep=0.1")
        for n in range(50):
            self.ask(600_000, n=n)
        wait_for(lambda: self.count() == 50, "all are kept")
        killed.kill()
        # All at a time: the others vie for them.
        self.execute(f"UPDATE {TABLE} SET due_date = '2026-01-01 00:00:00'")
        others = [self.run_command("--sleep=0.1") for _ in range(2)]
        numbers = sorted(self.receive()["n"] for _ in range(50))
        self.assertEqual(numbers, list(range(50)))
        for n in range(50, 100):
            self.ask(1 + n, n=n)
        numbers = sorted(self.receive()["n"] for _ in range(50))
        self.assertEqual(numbers, list(range(50, 100)))
        for other in others:
            other.send_signal(signal.SIGTERM)
            self.assertEqual(other.wait(), 0)
            self.assertEqual(len(other.lines), 1, other.output)
        self.assertEqual(self.layer.statistics("target")["messages_count"], 100)
        self.assertEqual(self.count(), 0)

    @cites("DL-2", "keep messages where they survive its end")
    def test_a_stopped_one_leaves_what_is_not_due(self):
        for signum in signal.SIGTERM, signal.SIGINT:
            with self.subTest(signal=signum):
                process = self.run_command("--sleep=3600")
                self.ask(600_000)
                wait_for(lambda: self.count() == 1, "it is kept")
                started = time.monotonic()
                process.send_signal(signum)
                self.assertEqual(process.wait(), 0)
                self.assertLess(time.monotonic() - started, PATIENCE_SECONDS)
                self.assertEqual(len(process.lines), 1, process.output)
                self.assertEqual(self.count(), 1)
                self.execute(f"DELETE FROM {TABLE}")
