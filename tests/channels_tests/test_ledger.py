"""The ledger itself: what it finds in books, and what its table says."""

import tempfile
from pathlib import Path

from django.channels.backends.shared.store import LEASE_SECONDS
from django.test import SimpleTestCase

from .chat import REPOSITORY
from .layers import MEMORY
from .ledger import Books, Ledger
from .ledger.audit import Audit
from .ledger.content import is_whole, make_message
from .ledger.faults import CALL, COSTS, FAULTS, GAP, IN_HAND, WAITING, render
from .ledger.journal import Journal, Tail

PAGE = REPOSITORY / "docs/ref/channels/backends.txt"


class LedgerBooks(Books):
    """Books that a test fills, with a clock that goes on by one."""

    def __init__(self):
        super().__init__()
        self.time = 0
        self.begins("w", "writing", "writer", {})
        self.begins("r", "reading", "reader", {"channels": ["a"], "limit": 2})
        self.begins("m", "owning", "member", {"limit": 2})

    def note(self, name, event, *details):
        self.time += 1
        self.enter(name, event, self.time, *details)

    def send(self, number, target="a", kind="channel", outcome="sent"):
        self.note("w", "intent", f"w/{number}", kind, target, "w.0", number)
        if outcome == "unknown":
            self.note("w", outcome, f"w/{number}", "It is away.")
        elif outcome:
            self.note("w", outcome, f"w/{number}")

    def receive(self, number, channel="a", reader="r.0", whole=True):
        self.note("r", "received", f"w/{number}", channel, reader, whole)

    def join(self, channel="m!x", group="g"):
        self.note("m", "joining", group, channel)
        self.note("m", "joined", group, channel)

    def leave(self, channel="m!x", group="g"):
        self.note("m", "leaving", group, channel)
        self.note("m", "left", group, channel)


class AuditTests(SimpleTestCase):
    def setUp(self):
        self.books = LedgerBooks()

    def assertFinds(self, *names, lost=0):
        found = Audit(self.books)
        self.assertEqual(set(found.findings()), set(names))
        self.assertEqual(len(found.lost()), lost)

    def test_books_that_agree_have_no_findings(self):
        self.books.join()
        for number in range(3):
            self.books.send(number)
            self.books.receive(number)
        self.books.send(3, "g", "group")
        self.books.receive(3, "m!x", "m.0")
        self.assertFinds()

    def test_a_message_that_came_twice_is_a_duplicate(self):
        self.books.send(0)
        self.books.receive(0)
        self.books.receive(0, reader="r.1")
        self.assertFinds("duplicates")

    def test_each_member_has_a_group_message_once(self):
        self.books.join("m!x")
        self.books.join("m!y")
        self.books.send(0, "g", "group")
        self.books.receive(0, "m!x", "m.0")
        self.assertFinds(lost=1)
        self.books.receive(0, "m!y", "m.0")
        self.assertFinds()
        self.books.receive(0, "m!y", "m.0")
        self.assertFinds("duplicates")

    def test_what_nobody_sent_or_what_was_refused_is_a_phantom(self):
        self.books.receive(7)
        self.assertFinds("phantoms")
        self.setUp()
        self.books.send(0, outcome="refused")
        self.books.receive(0)
        self.assertFinds("phantoms")

    def test_what_may_have_been_sent_may_come_once_and_is_never_lost(self):
        for outcome in ("unknown", None):
            with self.subTest(outcome=outcome):
                self.setUp()
                self.books.send(0, outcome=outcome)
                self.assertFinds()
                self.books.receive(0)
                self.assertFinds()
                self.books.receive(0)
                self.assertFinds("duplicates")

    def test_a_message_on_another_channel_is_misrouted(self):
        self.books.send(0)
        self.books.receive(0, "b")
        self.assertFinds("misrouted")

    def test_a_group_message_to_who_was_no_member_is_misrouted(self):
        self.books.send(0, "g", "group")
        self.books.join()
        self.books.receive(0, "m!x", "m.0")
        self.assertFinds("misrouted")

    def test_a_group_message_to_who_had_left_is_misrouted(self):
        self.books.join()
        self.books.leave()
        self.books.send(0, "g", "group")
        self.assertFinds()
        self.books.receive(0, "m!x", "m.0")
        self.assertFinds("misrouted")

    def test_who_joins_or_leaves_during_a_send_may_have_it_or_not(self):
        self.books.note("w", "intent", "w/0", "group", "g", "w.0", 0)
        self.books.join("m!x")
        self.books.note("w", "sent", "w/0")
        self.assertFinds()
        self.assertEqual(Audit(self.books).unclear(), 1)
        self.books.receive(0, "m!x", "m.0")
        self.assertFinds()

    def test_a_message_that_is_not_as_it_was_is_corrupted(self):
        self.books.send(0)
        self.books.receive(0, whole=False)
        self.assertFinds("corrupted")

    def test_order_holds_on_channels_with_one_reader_only(self):
        for channel, names in (("a", ()), ("a?b", ("reordered",))):
            with self.subTest(channel=channel):
                self.setUp()
                for number in (0, 1):
                    self.books.send(number, channel)
                for number in (1, 0):
                    self.books.receive(number, channel)
                self.assertFinds(*names)

    def test_what_was_sent_and_did_not_come_is_lost(self):
        self.books.send(0)
        self.assertFinds(lost=1)


class CostTests(SimpleTestCase):
    def setUp(self):
        self.books = LedgerBooks()

    def unexcused(self, cost):
        lost = Audit(self.books).lost()
        return len(cost.unexcused(self.books, lost))

    def test_a_killed_reader_excuses_what_it_can_have_had_in_hand(self):
        for number in range(3):
            self.books.send(number)
        self.assertEqual(self.unexcused(IN_HAND), 3)
        self.books.kills("reading", 100)
        self.assertEqual(self.unexcused(IN_HAND), 1)

    def test_a_killed_owner_excuses_what_was_for_its_inbox(self):
        self.books.join()
        self.books.send(0, "g", "group")
        self.books.send(1, "m!x")
        self.books.kills("owning", 100)
        self.assertEqual(self.unexcused(IN_HAND), 0)

    def test_lost_data_excuses_what_was_sent_before_the_end(self):
        self.books.send(0)
        self.books.broken.append((self.books.time, self.books.time))
        self.books.send(1)
        self.assertEqual(self.unexcused(WAITING), 1)

    def test_a_gap_excuses_group_messages_until_it_is_told(self):
        self.books.join()
        self.books.send(0, "g", "group")
        self.books.broken.append((self.books.time, self.books.time))
        self.books.send(1, "m!x")
        self.books.send(2, "g", "group")
        self.books.note("other", "gap")
        self.assertEqual(self.unexcused(GAP), 2)
        self.books.note("owning", "gap")
        self.assertEqual(self.unexcused(GAP), 1)
        self.books.send(3, "g", "group")
        self.assertEqual(self.unexcused(GAP), 2)

    def test_a_cut_call_excuses_as_much_as_it_asked_for(self):
        for number in range(5):
            self.books.send(number)
        self.books.cuts = 2
        self.assertEqual(self.unexcused(CALL), 1)


class JournalTests(SimpleTestCase):
    def test_lines_that_are_complete_are_read_once(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "journal")
            journal, tail = Journal(path), Tail(path)
            self.assertEqual(tail.events(), [])
            journal.note("sent", "w/0")
            with open(path, "ab") as file:
                file.write(b'["sent", 1, ')
            ((event, _, identity),) = tail.events()
            self.assertEqual((event, identity), ("sent", "w/0"))
            self.assertEqual(tail.events(), [])
            with open(path, "ab") as file:
                file.write(b'"w/1"]\n')
            self.assertEqual(tail.events(), [["sent", 1, "w/1"]])
            journal.close()

    def test_a_message_that_changed_is_not_whole(self):
        message = make_message("w/0")
        self.assertTrue(is_whole(message))
        for key in message:
            with self.subTest(key=key):
                self.assertFalse(is_whole({**message, key: "else"}))
                self.assertFalse(is_whole({k: message[k] for k in message if k != key}))
        minus = message["values"][-1]
        self.assertFalse(is_whole({**message, "values": [*message["values"], minus]}))


class ProgramTests(SimpleTestCase):
    def test_what_a_killed_program_noted_is_kept(self):
        with Ledger(MEMORY) as ledger:
            program = ledger.program()
            program.play("writer", "w", channels=["a"], count=10)
            ledger.wait(lambda books: "w" in books.ended, "it has sent")
            program.kill()
            self.assertEqual(ledger.read().outcomes(), {"sent": 10})
            self.assertEqual(books_lost(ledger), 10)

    def test_a_program_that_ends_by_itself_is_noticed(self):
        with Ledger("django.channels.backends.nothing.Layer") as ledger:
            with self.assertRaisesMessage(AssertionError, "ended with code 1"):
                ledger.program()
            self.assertIn("InvalidChannelLayerError", ledger.output)

    def test_a_role_that_fails_is_noticed(self):
        with Ledger(MEMORY) as ledger:
            program = ledger.program()
            program.play("writer", "w", channels=["not a name"], count=1)
            with self.assertRaisesMessage(AssertionError, "TypeError"):
                ledger.finish()


def books_lost(ledger):
    return len(Audit(ledger.books).lost())


class TableTests(SimpleTestCase):
    def test_the_documentation_has_the_table(self):
        self.assertIn(render(), PAGE.read_text())

    def test_the_documentation_says_what_each_cost_is(self):
        text = " ".join(PAGE.read_text().split())
        for cost in COSTS:
            with self.subTest(cost=cost.name):
                self.assertIn(f"{cost.name} {cost.meaning}".strip(), text)

    def test_what_stands_still_for_less_than_a_lease_is_no_fault(self):
        self.assertIn(f"less than {LEASE_SECONDS} s", FAULTS["stopped"].title)
