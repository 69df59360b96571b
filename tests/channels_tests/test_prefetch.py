import os
import threading
import time

from django.channels.worker import prefetch as prefetch_module
from django.channels.worker.journal import Journal, create_file
from django.channels.worker.prefetch import FETCHED_MESSAGES, Prefetch
from django.test import SimpleTestCase

from .layers import make_layer
from .utils import TIMEOUT, patch_for


class FullLoop:
    room = 0


class PrefetchTests(SimpleTestCase):
    def make(self, channels=("a",), quick=True, **options):
        self.layer = make_layer(capacity=1000)
        prefetch = Prefetch(self.layer, list(channels), **options)
        if quick:
            for _ in range(100):
                prefetch.note_run(0)
        self.addCleanup(prefetch.close)
        self.addCleanup(prefetch.end)
        self.addCleanup(prefetch.stop)
        return prefetch

    def send(self, count, channel="a"):
        for number in range(count):
            self.layer.send(channel, {"n": number})

    def left(self, channel="a"):
        return [m["n"] for _, m in self.layer.receive_batch([channel], 1000)]

    def test_quick_messages_are_fetched_together(self):
        prefetch = self.make()
        self.send(FETCHED_MESSAGES + 1)
        self.assertEqual(prefetch.next(), ("a", {"n": 0}))
        self.assertEqual(self.left(), [FETCHED_MESSAGES])
        for number in range(1, FETCHED_MESSAGES):
            self.assertEqual(prefetch.next(), ("a", {"n": number}))

    def test_slow_ones_are_fetched_one_by_one(self):
        prefetch = self.make(quick=False)
        self.send(2)
        prefetch.next()
        self.assertEqual(self.left(), [1])

    def test_what_fits_into_the_time_is_fetched(self):
        prefetch = self.make()
        for _ in range(100):
            prefetch.note_run(0.01)
        self.send(10)
        prefetch.next()
        self.assertEqual(self.left(), [5, 6, 7, 8, 9])

    def test_a_busy_channel_does_not_keep_a_quiet_one_waiting(self):
        prefetch = self.make(["a", "b"])
        self.send(1000)
        self.send(1, "b")
        pairs = [prefetch.next() for _ in range(FETCHED_MESSAGES)]
        self.assertIn("b", [channel for channel, _ in pairs])

    def test_stopping_puts_back_what_nobody_has_begun_in_its_order(self):
        prefetch = self.make()
        self.send(5)
        prefetch.next()
        self.assertEqual(self.left(), [])
        prefetch.stop()
        self.assertEqual(self.left(), [1, 2, 3, 4])
        prefetch.end()
        self.assertIsNone(prefetch.next())

    def test_stopping_ends_every_wait(self):
        prefetch = self.make(threads=3)
        ended = []
        threads = [
            threading.Thread(target=lambda n=n: ended.append(prefetch.next(n)))
            for n in range(3)
        ]
        for thread in threads:
            thread.start()
        prefetch.stop()
        prefetch.end()
        for thread in threads:
            thread.join(TIMEOUT)
        self.assertEqual(ended, [None] * 3)

    def make_held(self, name, when):
        """Return a Prefetch, and an event of a call of its layer that stop() frees."""
        prefetch, call = self.make(), getattr(self.layer.channel_layer, name)
        begun, waits = threading.Event(), threading.Event()
        self.addCleanup(waits.set)

        def held(*args):
            result = call(*args) if when == "after" else None
            begun.set()
            waits.wait(TIMEOUT)
            return call(*args) if when == "before" else result

        def tell(*args, wait_for=prefetch._changed.wait_for):
            waits.set()
            return wait_for(*args)

        patch_for(self, self.layer.channel_layer, name, held)
        patch_for(self, prefetch._changed, "wait_for", tell)
        return prefetch, begun

    def test_stopping_waits_for_who_puts_back(self):
        prefetch, begun = self.make_held("put_back", "before")
        patch_for(self, prefetch_module, "WAITING_SECONDS", 0)
        self.send(3)
        prefetch.next()
        thread = threading.Thread(target=prefetch.give_back_waiting)
        thread.start()
        self.assertTrue(begun.wait(TIMEOUT))
        prefetch.stop(TIMEOUT)
        self.assertEqual(self.left(), [1, 2])
        thread.join(TIMEOUT)

    def test_stopping_waits_for_who_fetches(self):
        prefetch, begun = self.make_held("receive_batch", "after")
        self.send(3)
        thread = threading.Thread(target=prefetch.next)
        thread.start()
        self.assertTrue(begun.wait(TIMEOUT))
        prefetch.stop(TIMEOUT)
        self.assertEqual(self.left(), [0, 1, 2])
        prefetch.end()
        thread.join(TIMEOUT)

    def test_what_waits_too_long_for_a_thread_is_put_back(self):
        prefetch = self.make()
        self.send(3)
        patch_for(self, prefetch_module, "WAITING_SECONDS", 1000)
        prefetch.next()
        prefetch.give_back_waiting()
        self.assertEqual(self.left(), [])
        patch_for(self, prefetch_module, "WAITING_SECONDS", 0)
        prefetch.give_back_waiting()
        self.assertEqual(self.left(), [1, 2])

    def test_what_expired_while_the_process_stood_still_is_dropped(self):
        prefetch = self.make()
        self.send(2)
        prefetch.next()
        prefetch._expires = time.monotonic()
        self.send(1)
        with self.assertLogs("django.channels.worker", "WARNING") as logs:
            self.assertEqual(prefetch.next(), ("a", {"n": 0}))
        self.assertIn("Dropped a message on a: it expired", logs.output[0])

    def test_the_journal_knows_what_has_not_begun(self):
        file = create_file()
        journal = Journal(file)
        self.addCleanup(journal.close)
        prefetch = self.make(journal=journal)
        self.send(3)
        prefetch.next()
        self.assertEqual(journal.rest(), [("a", {"n": 1}), ("a", {"n": 2})])
        prefetch.next()
        self.assertEqual(journal.rest(), [("a", {"n": 2})])
        prefetch.next()
        self.assertEqual(journal.rest(), [])
        self.send(1)
        prefetch.next()
        self.assertEqual(journal.rest(), [])
        self.assertGreater(os.fstat(file).st_size, 0)

    def test_what_was_put_back_is_not_in_the_journal(self):
        journal = Journal(create_file())
        self.addCleanup(journal.close)
        prefetch = self.make(journal=journal)
        self.send(3)
        prefetch.next()
        prefetch.stop()
        self.assertEqual(journal.rest(), [])

    def test_without_room_for_coroutines_only_others_are_fetched(self):
        loop = FullLoop()
        prefetch = self.make(["a", "b"], coroutines=loop)
        prefetch.async_channels.add("a")
        self.send(1, "a")
        self.send(1, "b")
        self.assertEqual(prefetch.next(), ("b", {"n": 0}))
        loop.room = 2
        self.assertEqual(prefetch.next(), ("a", {"n": 0}))

    def test_no_more_is_fetched_than_there_is_room_for(self):
        loop = FullLoop()
        loop.room = 2
        prefetch = self.make(coroutines=loop)
        prefetch.async_channels.add("a")
        self.send(3)
        prefetch.next()
        self.assertEqual(self.left(), [2])
