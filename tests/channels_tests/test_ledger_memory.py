"""The ledger of the memory layer: all roles are threads of one process."""

from django.test import SimpleTestCase

from .layers import MEMORY
from .ledger.cases import LedgerTestCase
from .ledger.scenarios import WorkloadScenarios


class MemoryLedgerTests(WorkloadScenarios, LedgerTestCase, SimpleTestCase):
    layer = "memory"
    backend = MEMORY
    spans_processes = False
