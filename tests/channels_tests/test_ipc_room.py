"""The ipc layer's store while its file or the disk has no room."""

import random
import resource

from django.channels.exceptions import LayerUnavailable
from django.test import SimpleTestCase

from .ipc_children import MEGABYTE, ForkingTests

# How often what is full is taken from, and filled again.
ROUNDS = 200
DISK_BYTES = 3 * MEGABYTE
QUEUES = [f"queue.{n}" for n in range(8)]


class RoomTests(ForkingTests, SimpleTestCase):
    def fill(self, store, size):
        """Send messages until there is no room; return their number and the error."""
        sent = 0
        while True:
            try:
                sent += self.send(store, "a", *[b"x" * size] * 10)
            except LayerUnavailable as error:
                return sent, str(error)

    def check_full(self, store, expected):
        for size in (100, 5000, 50_000):
            for _ in range(3):
                sent, error = self.fill(store, size)
                self.assertIn(expected, error)
                self.assertIn(self.path, error)
                self.assertNotIn("xxx", error)
                statistics = self.assertSound(store, "a")
                self.assertEqual(statistics["messages_pending"], sent)
                taken = []
                while entries := self.take(store, "a", 7):
                    taken += entries
                self.assertEqual(taken, [b"x" * size] * sent)

    def test_a_full_store_refuses_and_gives(self):
        store = self.open(size=MEGABYTE)
        self.check_full(store, "(of at most 1 MB) is full")

    def test_a_full_store_keeps_all_of_a_batch_or_nothing(self):
        store = self.open(size=MEGABYTE)
        batch = [("a", 100, [b"1"]), ("b", 100, [b"x" * 2 * MEGABYTE])]
        with self.assertRaisesMessage(LayerUnavailable, "is full"):
            store.append(batch)
        with self.assertRaisesMessage(LayerUnavailable, "is full"):
            store.register("group", "inbox!", 100, b"x" * 2 * MEGABYTE)
        self.assertEqual(store.look(["a", "b", "inbox!"]), [])
        self.assertEqual(store.groups(), {})
        self.assertSound(store, None)

    def keep_full(self, store):
        """Send whatever there is room for, and take some of it, again and again."""
        chance = random.Random(1)
        sent = taken = 0
        for _ in range(ROUNDS):
            refused = 0
            while refused < 10:
                count = chance.choice([1, 5, 50])
                payload = b"x" * chance.choice([1, 100, 1000, 9000])
                try:
                    sent += self.send(store, chance.choice(QUEUES), *[payload] * count)
                except LayerUnavailable:
                    refused += 1
            taken += len(store.take(QUEUES, 100))
        self.assertSound(store, None)
        while found := len(store.take(QUEUES, 100)):
            taken += found
        self.assertEqual(taken, sent)
        self.assertGreater(sent, 100 * ROUNDS / 2)

    def test_a_store_that_is_kept_full_gives(self):
        self.keep_full(self.open(size=MEGABYTE))

    def on_full_disk(self, function):
        """Run a function of a store in a process whose file cannot grow."""

        def work(store, say):
            resource.setrlimit(resource.RLIMIT_FSIZE, (DISK_BYTES, DISK_BYTES))
            function(store)
            say("done")

        store = self.open()
        child = self.start(work)
        self.assertEqual(child.hear(), "done")
        self.assertEqual(child.wait(), 0)
        # Others are not concerned.
        self.send(store, "b", b"x" * 2 * DISK_BYTES)
        self.assertEqual(self.take(store, "b"), [b"x" * 2 * DISK_BYTES])

    def test_a_full_disk_refuses_and_gives(self):
        self.on_full_disk(lambda store: self.check_full(store, "its disk is full"))

    def test_a_disk_that_is_kept_full_gives(self):
        self.on_full_disk(self.keep_full)

    def test_a_process_with_a_larger_size_makes_room_for_the_others(self):
        small = self.open(size=MEGABYTE)
        large = b"x" * 3 * MEGABYTE

        def work(store, say):
            self.send(store, "a", large)
            say()

        child = self.start(work, size=8 * MEGABYTE)
        child.hear()
        self.assertEqual(child.wait(), 0)
        self.assertEqual(self.take(small, "a"), [large])
        # What there is room for is the larger size.
        self.send(small, "a", large)
        self.send(small, "b", b"1")
        self.assertEqual(self.take(small, "a"), [large])
        self.assertEqual(self.take(small, "b"), [b"1"])
        # A smaller one, when the file has grown, opens it as it is.
        small.close()
        self.send(small, "a", b"1")
        self.assertEqual(self.take(small, "a"), [b"1"])
