"""The ledger of the memory layer: all roles are threads of one process."""

from django.test import SimpleTestCase

from .layers import MEMORY
from .ledger.scenarios import LedgerTestCase, WorkloadScenarios


class MemoryLedgerTests(WorkloadScenarios, LedgerTestCase, SimpleTestCase):
    layer = "memory"
    backend = MEMORY
    spans_processes = False
