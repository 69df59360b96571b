"""The ledger of the ipc layer."""

import tempfile

from django.test import SimpleTestCase

from .ledger.scenarios import LedgerTestCase, ProcessScenarios, WorkloadScenarios

IPC = "django.channels.backends.ipc.IPCChannelLayer"


class IPCLedgerTests(
    WorkloadScenarios, ProcessScenarios, LedgerTestCase, SimpleTestCase
):
    layer = "ipc"
    backend = IPC

    def config(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return {"path": folder.name}
