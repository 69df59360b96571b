import os

from django.channels.worker import journal as journal_module
from django.channels.worker.journal import (
    KEPT_BYTES,
    LIMIT,
    SLOTS,
    Journal,
    create_file,
)
from django.test import SimpleTestCase

from .utils import patch_for

PAIRS = [
    ("a", {"text": "é", "bytes": b"\xff", "n": 2**62, "f": 0.5}),
    ("b.c", {"list": [None, True, {"k": []}]}),
    ("a", {}),
]


class JournalTests(SimpleTestCase):
    def setUp(self):
        file = create_file()
        self.journal = Journal(file)
        # As another process has it.
        self.other = Journal(os.dup(file))
        self.addCleanup(self.journal.close)
        self.addCleanup(self.other.close)

    def test_it_has_nothing_at_first(self):
        self.assertEqual(self.other.rest(), [])

    def test_another_process_sees_what_has_not_begun(self):
        self.journal.record(PAIRS)
        self.assertEqual(self.other.rest(), PAIRS)
        self.journal.begin(0)
        self.assertEqual(self.other.rest(), PAIRS[1:])
        self.journal.begin(1)
        self.journal.begin(2)
        self.assertEqual(self.other.rest(), [])

    def test_a_new_batch_takes_the_place_of_the_last_one(self):
        self.journal.record(PAIRS)
        self.journal.begin(0)
        self.journal.record(PAIRS[:1])
        self.assertEqual(self.other.rest(), PAIRS[:1])
        self.journal.record([])
        self.assertEqual(self.other.rest(), [])

    def test_a_death_within_the_writing_leaves_no_half_of_a_batch(self):
        self.journal.record(PAIRS)

        class Death(BaseException):
            pass

        def die(*args):
            raise Death

        patch_for(self, journal_module.os, "pwrite", die)
        with self.assertRaises(Death):
            self.journal.record(PAIRS)
        self.assertEqual(self.other.rest(), [])

    def test_large_batches_do_not_stay_allocated(self):
        large = [("a", {"b": b"x" * (2 * KEPT_BYTES)})]
        self.journal.record(large)
        self.assertEqual(self.other.rest(), large)
        self.journal.record(PAIRS)
        self.assertLess(os.fstat(self.journal.fileno()).st_size, KEPT_BYTES)
        self.assertEqual(self.other.rest(), PAIRS)

    def test_more_than_it_can_mark_is_an_error(self):
        msg = f"A journal keeps {LIMIT} messages, not {LIMIT + 1}."
        with self.assertRaisesMessage(ValueError, msg):
            self.journal.record([("a", {})] * (LIMIT + 1))

    def test_a_full_disk_is_logged_once_and_leaves_nothing(self):
        def fail(*args):
            raise OSError("No space left on device")

        patch_for(self, journal_module.os, "pwrite", fail)
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            self.journal.record(PAIRS)
            self.journal.record(PAIRS)
        self.assertEqual(len(logs.output), 1)
        self.assertEqual(self.other.rest(), [])

    def test_its_beats_are_seen(self):
        self.assertEqual(self.other.last_beat(), 0)
        self.journal.beat()
        first = self.other.last_beat()
        self.journal.beat()
        self.assertGreaterEqual(self.other.last_beat(), first)
        self.assertGreater(first, 0)

    def test_another_process_sees_what_is_awaited(self):
        self.assertEqual(self.other.awaited(), [])
        self.journal.record(PAIRS)
        name = "interface.reply.x!y".ljust(99, "z")
        slots = [self.journal.await_end(name, order) for order in (0, 7, 2**40)]
        self.assertEqual(self.other.awaited(), [(name, 0), (name, 7), (name, 2**40)])
        self.assertEqual(self.other.rest(), PAIRS)
        self.journal.end(slots[1], comes_again=True)
        self.assertEqual(self.other.awaited(), [(name, 0), (name, 2**40)])

    def test_what_has_ended_is_forgotten_when_there_is_no_other_room(self):
        slots = [self.journal.await_end("a!b", order) for order in range(SLOTS)]
        self.assertIsNone(self.journal.await_end("a!b", SLOTS))
        for order in (5, 3):
            self.journal.end(slots[order])
        self.assertIn(("a!b", 5), self.other.awaited())
        self.journal.await_end("a!c", 0)
        self.assertNotIn(("a!b", 5), self.other.awaited())
        self.assertIn(("a!b", 3), self.other.awaited())
        self.assertEqual(len(self.other.awaited()), SLOTS)
