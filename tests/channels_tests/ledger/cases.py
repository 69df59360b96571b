"""
What a test of a layer with a ledger is: how the layer is made, and what must hold.

In: a layer's backend and CONFIG, from a test class. Out: ledgers, and verdicts on
their books.
"""

from . import audit
from .conductor import Ledger
from .faults import FAULTS

CAPACITY = 10_000
# Seconds between two sends of a writer that goes on until it is stopped.
PACE_SECONDS = 0.002
NORMAL = ["work.a", "work.b"]
SINGLE = ["one?a", "one?b"]
GROUPS = ["all", "some"]


class LedgerTestCase:
    """For a SimpleTestCase that says which layer it is about."""

    # The key of the layer in FAULTS.
    layer = None
    backend = None
    spans_processes = True
    # Does one that stands still with a lock stop the others for as long?
    can_stop_others = False
    # How many messages each caller of a writer sends.
    count = 60
    # How many processes are killed in one run.
    kills = 3

    def config(self):
        """Return CONFIG for a layer that no other test uses."""
        return {}

    def database_settings(self):
        """Return DATABASES for the programs."""
        return {}

    def make_ledger(self, **config):
        config = {"capacity": CAPACITY, **self.config(), **config}
        return Ledger(self.backend, config, self.database_settings())

    def programs(self, ledger, count):
        """Return that many programs; the same one if it is all that there can be."""
        if self.spans_processes:
            return ledger.start(count)
        return ledger.start(1) * count

    def begin_traffic(self, ledger, **options):
        """Begin to send and receive, and return both programs when it goes on."""
        one, two = self.programs(ledger, 2)
        one.play("reader", "r1", channels=NORMAL, limit=3)
        one.play("member", "m1", groups=GROUPS)
        ledger.members_ready("m1")
        options = {"channels": NORMAL, "groups": GROUPS, **options}
        two.play("writer", "w1", **options, pace=PACE_SECONDS)
        ledger.progress(50)
        return one, two

    def assertBooksAgree(self, ledger, fault=None):
        """Hold what never happens, the counters, and the cost of a fault."""
        statistics = ledger.statistics()
        books = ledger.read()
        findings = audit.Audit(books)
        self.assertEqual(findings.findings(), {}, books.summary())
        for queue, counters in {"all": statistics, **books.details}.items():
            self.assertBalanced(queue, counters, books)
        lost = findings.lost()
        if fault is None:
            self.assertExact(books, findings, statistics)
            return lost
        cost = FAULTS[fault].costs[self.layer]
        unexcused = cost.unexcused(books, lost)
        counted = statistics["dropped_count"] + statistics["expired_count"]
        if len(unexcused) > counted:
            self.fail(
                f"{len(unexcused)} of {len(lost)} losses are more than {fault!r} may "
                f"cost ({cost.name}): {unexcused[:5]}. {books.summary()} {statistics}"
            )
        return lost

    def assertBalanced(self, queue, statistics, books):
        parts = "delivered_count", "dropped_count", "expired_count", "messages_pending"
        total = sum(statistics[part] for part in parts)
        what = f"{queue}: {statistics} {books.summary()} {books.details}"
        self.assertEqual(statistics["messages_count"], total, what)

    def assertExact(self, books, findings, statistics):
        """Hold every counter against the journals of a run without faults."""
        lost, unclear = len(findings.lost()), findings.unclear()
        counted = statistics["dropped_count"] + statistics["expired_count"]
        what = f"{books.summary()} {statistics}"
        self.assertLessEqual(lost, counted, f"{findings.lost()[:5]} {what}")
        self.assertLessEqual(counted, lost + unclear, what)
        self.assertEqual(statistics["messages_pending"], 0, what)
        self.assertEqual(statistics["delivered_count"], len(books.receipts), what)
        self.assertFalse(books.errors, what)
        outcomes = books.outcomes()
        self.assertEqual(set(outcomes) - {"sent", "refused"}, set(), what)
        self.assertGreaterEqual(
            statistics["channel_full_count"], outcomes["refused"], what
        )
