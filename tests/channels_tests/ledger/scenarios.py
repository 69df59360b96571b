"""
Runs of a ledger that every layer goes through, as tests.

A LedgerTestCase, see cases.py, takes the mixins that suit its layer.
"""

import threading

from django.channels.backends.shared.store import LEASE_SECONDS

from .cases import GROUPS, NORMAL, PACE_SECONDS, SINGLE
from .clocks import FakeClock
from .faults import FAULTS, NOTHING
from .journal import now

# Seconds that a process stands still at the most, if it is not to lose its lease.
STILL_SECONDS = 3
# Seconds that one stands still beyond its lease.
MARGIN_SECONDS = 2


class WorkloadScenarios:
    """What holds while nothing breaks: everything arrives, or is counted."""

    def test_normal_channels_with_readers_and_writers_of_every_form(self):
        with self.make_ledger() as ledger:
            one, two = self.programs(ledger, 2)
            one.play("reader", "r1", channels=NORMAL, callers=2)
            one.play("reader", "r2", "async", channels=NORMAL, limit=7, callers=2)
            two.play("reader", "r3", channels=NORMAL[:1], limit=50)
            two.play("reader", "r4", "async", channels=NORMAL, callers=2)
            one.play("writer", "w1", channels=NORMAL, count=self.count, callers=2)
            two.play("writer", "w2", "async", channels=NORMAL, count=self.count)
            two.play("writer", "w3", channels=NORMAL, count=self.count, batch=5)
            ledger.finish()
            self.assertEqual(self.assertBooksAgree(ledger), [])

    def test_cancelled_receives_and_given_back_messages_lose_nothing(self):
        with self.make_ledger() as ledger:
            one, two = self.programs(ledger, 2)
            options = {"channels": NORMAL, "limit": 5, "callers": 4}
            one.play("reader", "r1", "async", **options, impatient=True)
            two.play("reader", "r2", **options, give_back=20)
            for program, name, form in (one, "w1", "sync"), (two, "w2", "async"):
                program.play(
                    "writer", name, form, channels=NORMAL, count=self.count, batch=2
                )
            ledger.finish()
            self.assertEqual(self.assertBooksAgree(ledger), [])

    def test_single_reader_channels_keep_the_order_of_each_sender(self):
        with self.make_ledger() as ledger:
            one, two = self.programs(ledger, 2)
            one.play("reader", "r1", channels=SINGLE[:1], limit=3, give_back=10)
            two.play("reader", "r2", "async", channels=SINGLE[1:], impatient=True)
            options = {"channels": SINGLE, "count": self.count}
            one.play("writer", "w1", **options, callers=2)
            two.play("writer", "w2", "async", **options, callers=2, batch=4)
            ledger.finish()
            self.assertEqual(self.assertBooksAgree(ledger), [])

    def test_groups_reach_steady_members_always_and_passing_ones_exactly(self):
        with self.make_ledger() as ledger:
            one, two = self.programs(ledger, 2)
            one.play("member", "m1", groups=GROUPS, steady=2, flapping=1)
            two.play("member", "m2", "async", groups=GROUPS, steady=1, flapping=2)
            ledger.members_ready("m1", "m2")
            # Members and groups are written to at a time: order holds across both.
            own = sorted(ledger.read().channels_of("m1"))
            options = {"channels": own, "groups": GROUPS, "count": self.count}
            one.play("writer", "w1", **options)
            two.play("writer", "w2", "async", **options, callers=2)
            ledger.finish()
            self.assertEqual(self.assertBooksAgree(ledger), [])

    def test_a_group_that_empties_and_fills_reaches_who_is_in_it(self):
        with self.make_ledger() as ledger:
            one, two = self.programs(ledger, 2)
            one.play("member", "m1", groups=GROUPS[:1], steady=0, flapping=2)
            two.play("member", "m2", "async", groups=GROUPS[:1], steady=0, flapping=2)
            ledger.members_ready("m1", "m2")
            two.play("writer", "w1", groups=GROUPS[:1], count=2 * self.count)
            ledger.finish()
            self.assertEqual(self.assertBooksAgree(ledger), [])
            self.assertBooksAgree(ledger, "group empties")

    def test_what_full_channels_refuse_and_full_inboxes_miss_is_counted(self):
        with self.make_ledger(capacity=5) as ledger:
            one, two = self.programs(ledger, 2)
            one.play("reader", "r1", channels=NORMAL, limit=2)
            one.play("member", "m1", groups=GROUPS, steady=3, limit=3)
            ledger.members_ready("m1")
            options = {"channels": NORMAL, "groups": GROUPS, "count": self.count}
            two.play("writer", "w1", **options, callers=2)
            two.play("writer", "w2", "async", **options, batch=4)
            ledger.finish()
            self.assertBooksAgree(ledger)

    def test_eight_callers_of_each_kind_in_one_process(self):
        with self.make_ledger() as ledger:
            (one,) = self.programs(ledger, 1)
            options = {"channels": NORMAL, "callers": 8}
            one.play("reader", "r1", **options)
            one.play("reader", "r2", "async", **options, limit=3, impatient=True)
            count = self.count // 2
            one.play("writer", "w1", **options, count=count)
            one.play("writer", "w2", "async", **options, count=count)
            ledger.finish()
            self.assertEqual(self.assertBooksAgree(ledger), [])


class ProcessScenarios:
    """What a process costs the others when it is killed or stands still."""

    def test_a_killed_writer_loses_nothing_that_it_has_sent(self):
        with self.make_ledger() as ledger:
            one, two, three = self.programs(ledger, 3)
            one.play("reader", "r1", channels=NORMAL + SINGLE, limit=5)
            one.play("member", "m1", groups=GROUPS)
            ledger.members_ready("m1")
            options = {"channels": NORMAL + SINGLE, "groups": GROUPS}
            for program, name in (two, "w1"), (three, "w2"):
                program.play("writer", name, **options, pace=PACE_SECONDS)
                program.play("writer", f"{name}a", "async", **options, callers=2)
            ledger.progress(200)
            two.kill()
            ledger.progress(100)
            ledger.finish()
            lost = self.assertBooksAgree(ledger, "writer killed")
            self.assertEqual(lost, [])

    def test_a_killed_reader_loses_what_it_had_in_hand(self):
        with self.make_ledger() as ledger:
            one, two, three = self.programs(ledger, 3)
            for program, name in (one, "r1"), (two, "r2"):
                program.play("reader", name, channels=NORMAL, limit=3, callers=2)
                program.play("member", f"{name}m", groups=GROUPS, flapping=1)
            ledger.members_ready("r1m", "r2m")
            options = {"channels": NORMAL, "groups": GROUPS, "pace": PACE_SECONDS}
            three.play("writer", "w1", **options, callers=2)
            ledger.progress(100)
            two.kill()
            ledger.progress(100)
            ledger.finish()
            self.assertBooksAgree(ledger, "reader killed")

    def test_processes_that_stand_still_and_go_on_lose_nothing(self):
        with self.make_ledger() as ledger:
            one, two, three = self.programs(ledger, 3)
            for program, name in (one, "r1"), (two, "r2"):
                program.play("reader", name, channels=NORMAL, limit=3)
                program.play("member", f"{name}m", groups=GROUPS, flapping=1)
            ledger.members_ready("r1m", "r2m")
            options = {"channels": NORMAL, "groups": GROUPS, "pace": PACE_SECONDS}
            three.play("writer", "w1", **options)
            two.play("writer", "w2", "async", **options)
            ledger.progress(50)
            for program in two, three:
                program.pause()
                # One of a database may stand still with a lock, and stop others.
                ledger.try_progress(50, STILL_SECONDS)
                program.resume()
            ledger.progress(50)
            ledger.finish()
            lost = self.assertBooksAgree(ledger, "stopped")
            self.assertEqual(lost, [])

    def test_processes_that_come_and_are_killed_at_any_point(self):
        with self.make_ledger() as ledger:
            one, two = self.programs(ledger, 2)
            one.play("member", "m1", groups=GROUPS, flapping=1)
            ledger.members_ready("m1")
            options = {"channels": NORMAL, "groups": GROUPS}
            two.play("writer", "w1", **options, pace=PACE_SECONDS)
            for number in range(self.kills):
                victim = ledger.program()
                name = f"v{number}"
                victim.play("reader", name, "async", channels=NORMAL, limit=4)
                victim.play("member", f"{name}m", groups=GROUPS, flapping=2)
                victim.play("writer", f"{name}w", **options, batch=2)
                ledger.progress(100)
                victim.kill()
            one.play("reader", "r1", channels=NORMAL, limit=100, callers=2)
            ledger.reaches(now(), "m1")
            ledger.finish()
            self.assertBooksAgree(ledger, "reader killed")


class LeaseScenarios:
    """What it costs that a process stands still for longer than its lease."""

    def test_an_owner_that_stands_still_past_its_lease_and_goes_on(self):
        with self.make_ledger(expiry=2 * LEASE_SECONDS) as ledger:
            one, two, three = self.programs(ledger, 3)
            one.play("member", "m1", groups=GROUPS)
            two.play("member", "m2", "async", groups=GROUPS, flapping=1)
            two.play("reader", "r2", channels=NORMAL)
            ledger.members_ready("m1", "m2")
            own = sorted(ledger.read().channels_of("m2"))
            options = {"channels": [*NORMAL, *own], "groups": GROUPS}
            three.play("writer", "w1", **options, pace=10 * PACE_SECONDS)
            ledger.progress(20)
            with ledger.broken():
                two.pause()
                threading.Event().wait(LEASE_SECONDS + MARGIN_SECONDS)
                two.resume()
            one.play("reader", "r1", channels=NORMAL, limit=50)
            ledger.reaches(now(), "m1", "m2")
            has_gap = FAULTS["lease over"].costs[self.layer] is not NOTHING
            if has_gap:
                ledger.wait(lambda books: books.told.keys() >= {*own}, "all are told")
            ledger.finish()
            self.assertBooksAgree(ledger, "lease over")
            self.assertGapTold(ledger.books, "m2", has_gap)

    def assertGapTold(self, books, role, is_told):
        tellers = {name for name, _ in books.gaps}
        # A flapping member is told, too, if it is in a group at the time.
        told = {channel.partition("!")[0] for channel in books.told}
        if is_told and self.can_stop_others:
            self.assertIn(books.program_of(role), tellers)
            self.assertIn(role, told)
        else:
            self.assertEqual(tellers, {books.program_of(role)} if is_told else set())
            self.assertEqual(told, {role} if is_told else set())


class ClockScenarios:
    """What it costs that the clock of the machine is set: nothing."""

    # Seconds by which the clock is set, forth and back.
    steps = (3600, -7200, 86400 * 400, 0)

    def test_the_clock_of_a_process_is_set_forth_and_back(self):
        clock = FakeClock()
        self.addCleanup(clock.stop)
        with self.make_ledger() as ledger:
            one, two = self.programs(ledger, 2)
            wrong = ledger.program(**clock.environ)
            one.play("member", "m1", groups=GROUPS)
            one.play("reader", "r1", channels=NORMAL)
            wrong.play("member", "m2", groups=GROUPS, flapping=1)
            wrong.play("reader", "r2", "async", channels=NORMAL, limit=5)
            ledger.members_ready("m1", "m2")
            options = {"channels": NORMAL, "groups": GROUPS, "pace": PACE_SECONDS}
            two.play("writer", "w1", **options)
            wrong.play("writer", "w2", "async", **options)
            for seconds in self.steps:
                ledger.progress(100)
                clock.set(seconds)
            # Longer than a renewal of a lease.
            ledger.progress(1000)
            ledger.finish()
            self.assertEqual(self.assertBooksAgree(ledger, "clock set"), [])
            self.assertEqual(ledger.books.gaps, [])
