"""
Runs of a ledger in which the server of a layer breaks, as tests.

In: a test class, which says how its server is made. Out: what scenarios.py holds.
"""

import threading

from ..processes import PATIENCE_SECONDS
from ..proxy import Proxy
from .journal import now
from .scenarios import GROUPS, NORMAL, PACE_SECONDS, SINGLE

# How long a server stands still, in seconds.
STILL_SECONDS = 0.3
# How long memberships may take to heal: two seconds, and as many again as a
# machine with much else to do needs.
HEALING_SECONDS = 10
# How often something breaks in one run.
TIMES = 3


class ServerScenarios:
    """
    What it costs that the server of a layer breaks.

    make_server() returns a Server of this test alone. The layer has it by what
    config() and database_settings() make of ``self.server``, or of
    ``self.address``, if a proxy is in front of it.
    """

    server = None
    proxy = None
    # What is in the requests whose answers are lost.
    requests = (b"",)

    def make_server(self, **options):
        raise NotImplementedError

    def serve(self, proxied=False, **options):
        """Start the server of a test, and a proxy if the layer shall have one."""
        self.server = self.make_server(**options)
        self.addCleanup(self.server.stop)
        if proxied:
            self.proxy = Proxy(self.server.socket)
            self.addCleanup(self.proxy.stop)

    def play(self, ledger, limit=3, **options):
        """Start readers, members and writers in three processes; return those."""
        one, two, three = programs = self.programs(ledger, 3)
        for number, program in enumerate((one, two)):
            name, single = f"r{number}", SINGLE[number : number + 1]
            program.play("reader", name, channels=NORMAL, limit=limit, callers=2)
            program.play("reader", f"{name}s", channels=single, limit=limit)
            program.play("member", f"{name}m", groups=GROUPS)
        ledger.members_ready("r0m", "r1m")
        options = {"channels": NORMAL + SINGLE, "groups": GROUPS, **options}
        options = {"pace": PACE_SECONDS, **options}
        three.play("writer", "w0", **options, callers=2)
        two.play("writer", "w1", "async", **options, batch=2)
        ledger.progress(100)
        return programs

    def assertHealed(self, ledger):
        """Wait until members have what was sent to groups after now, and soon."""
        members = "r0m", "r1m"
        ledger.reaches(now(), *members)
        seconds = ledger.books.healing_seconds(*members)
        self.assertLess(seconds, HEALING_SECONDS)
        ledger.progress(50)

    def assertCosts(self, ledger, fault):
        ledger.finish()
        return self.assertBooksAgree(ledger, fault)

    def test_a_server_that_stands_still_and_goes_on(self):
        self.serve()
        with self.make_ledger() as ledger:
            self.play(ledger)
            for _ in range(TIMES):
                with ledger.broken():
                    self.server.pause()
                    threading.Event().wait(STILL_SECONDS)
                    self.server.resume()
                ledger.progress(50)
            self.assertCosts(ledger, "store stopped")

    def test_a_server_that_is_killed_and_starts_with_its_data(self):
        self.serve()
        with self.make_ledger() as ledger:
            self.play(ledger)
            with ledger.broken():
                self.server.kill()
                self.server.start()
            self.assertHealed(ledger)
            self.assertCosts(ledger, "store killed")

    def test_a_server_that_starts_without_data(self):
        self.serve()
        with self.make_ledger() as ledger:
            self.play(ledger)
            for _ in range(2):
                with ledger.broken():
                    self.lose_data()
                self.assertHealed(ledger)
            self.assertCosts(ledger, "store empty")

    def test_a_server_that_starts_with_older_data(self):
        """What was consumed after the snapshot is not delivered again."""
        self.serve()
        with self.make_ledger() as ledger:
            self.play(ledger)
            with ledger.broken():
                snapshot = self.server.snapshot()
            ledger.progress(200)
            with ledger.broken():
                self.server.restart(snapshot)
            self.assertHealed(ledger)
            self.assertCosts(ledger, "store old")

    def test_answers_that_are_lost(self):
        """Neither a lost answer nor half of one makes a copy of a message."""
        self.serve(proxied=True)
        with self.make_ledger() as ledger:
            self.play(ledger)
            for request in self.requests:
                for after in 0, 1, 7:
                    with ledger.broken(cuts=1):
                        cuts = self.proxy.cuts
                        self.proxy.lose_answer(request, after)
                        cut = self.proxy.wait_for_cuts(cuts + 1, PATIENCE_SECONDS)
                        self.assertTrue(cut, f"Nobody asked {request}.")
                    ledger.progress(20)
            self.assertHealed(ledger)
            self.assertCosts(ledger, "connection cut")

    def test_connections_that_break_and_are_refused(self):
        self.serve(proxied=True)
        with self.make_ledger() as ledger:
            self.play(ledger)
            for _ in range(TIMES):
                # Each connection of three processes may be in a receive.
                with ledger.broken(cuts=20):
                    self.proxy.cut()
                ledger.progress(20)
            with ledger.broken(cuts=20):
                self.proxy.refuse()
                ledger.wait(lambda books: books.errors, "somebody is refused")
                self.proxy.accept()
            self.assertHealed(ledger)
            self.assertCosts(ledger, "connection cut")

    def test_answers_that_are_late(self):
        self.serve(proxied=True)
        with self.make_ledger() as ledger:
            self.play(ledger)
            self.proxy.delay(0.01)
            ledger.progress(50)
            self.proxy.delay(0)
            self.proxy.hold()
            threading.Event().wait(STILL_SECONDS)
            self.proxy.release()
            ledger.progress(50)
            self.assertEqual(self.assertCosts(ledger, "stopped"), [])

    def test_a_server_that_is_full(self):
        self.serve()
        with self.make_ledger() as ledger:
            self.play(ledger)
            with ledger.broken():
                self.fill()
                ledger.wait(lambda books: books.errors, "somebody is refused")
                self.make_room()
            self.assertHealed(ledger)
            lost = self.assertCosts(ledger, "store full")
            self.assertEqual(lost, [])
            said = [error for (_, error), _ in ledger.books.errors.items()]
            self.assertTrue(any("full" in error for error in said), said[:3])

    def lose_data(self):
        """End the server and start it without data."""
        self.server.restart("empty")

    def fill(self):
        """Leave no room in the server."""
        raise NotImplementedError

    def make_room(self):
        """Undo fill()."""
        raise NotImplementedError
