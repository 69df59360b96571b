"""The ledger of the ipc layer."""

import tempfile
from pathlib import Path

from django.test import SimpleTestCase, tag

from .ledger import scenarios
from .ledger.cases import LedgerTestCase
from .ledger.filling import SmallDisk
from .ledger.journal import now

IPC = "django.channels.backends.ipc.IPCChannelLayer"
# The smallest file of a layer.
SIZE_BYTES = 1024 * 1024
# Seconds in which somebody sends, unless the lock of the file is held for good.
GOING_ON_SECONDS = 5


class IPCLedgerTestCase(LedgerTestCase):
    layer = "ipc"
    backend = IPC

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "layer")

    def config(self):
        return {"path": str(self.path)}


class IPCLedgerTests(
    scenarios.WorkloadScenarios,
    scenarios.ProcessScenarios,
    IPCLedgerTestCase,
    SimpleTestCase,
):
    pass


class IPCFileLedgerTests(IPCLedgerTestCase, SimpleTestCase):
    def test_a_file_that_is_full_refuses_and_takes_again(self):
        with self.make_ledger(size=SIZE_BYTES, capacity=1_000_000) as ledger:
            one, two = self.programs(ledger, 2)
            one.play("reader", "r1", channels=scenarios.NORMAL, limit=100)
            ledger.wait(lambda books: "r1" in books.looked_after(0), "it reads")
            two.play(
                "writer", "w1", "async", channels=scenarios.NORMAL, batch=50, callers=2
            )
            two.play("writer", "w2", channels=scenarios.NORMAL)
            self.pause(ledger, one)
            ledger.wait(lambda books: books.errors, "somebody is refused")
            one.resume()
            ledger.progress(2000)
            ledger.finish()
            lost = self.assertBooksAgree(ledger, "store full")
            self.assertEqual(lost, [])
            said = [error for _, error in ledger.books.errors]
            self.assertTrue(all("full" in error for error in said), said[:3])

    def pause(self, ledger, program):
        """Stop a program where it has no lock, so that others go on."""
        while True:
            program.pause()
            paused = now()
            if ledger.try_wait(lambda books: books.has_sent(paused), GOING_ON_SECONDS):
                return
            program.resume()

    def test_a_disk_that_is_full_refuses_and_takes_again(self):
        disk = SmallDisk(megabytes=2)
        self.addCleanup(disk.stop)
        self.path = disk.folder / "layer"
        with self.make_ledger() as ledger:
            self.begin_traffic(ledger, callers=2)
            with ledger.broken():
                disk.fill()
                ledger.progress(20)
                disk.make_room()
            ledger.progress(50)
            ledger.finish()
            self.assertBooksAgree(ledger, "store full")

    def test_a_file_that_somebody_deletes_is_made_again(self):
        with self.make_ledger() as ledger:
            self.begin_traffic(ledger, callers=2)
            with ledger.broken():
                for file in self.path.iterdir():
                    if file.is_file():
                        file.unlink()
            ledger.reaches(now(), "m1")
            ledger.progress(50)
            ledger.finish()
            self.assertBooksAgree(ledger, "store empty")


@tag("full")
class IPCLongLedgerTests(
    scenarios.WorkloadScenarios,
    scenarios.ProcessScenarios,
    scenarios.LeaseScenarios,
    scenarios.ClockScenarios,
    IPCLedgerTestCase,
    SimpleTestCase,
):
    count = 500
    kills = 10
