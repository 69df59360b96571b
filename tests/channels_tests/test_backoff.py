"""How long is waited before something is tried again."""

from django.channels.backoff import Backoff
from django.test import SimpleTestCase


class BackoffTests(SimpleTestCase):
    def test_each_pause_is_twice_as_long_up_to_the_last(self):
        backoff = Backoff(0.25, 1.5)
        seconds = [backoff.next() for _ in range(5)]
        self.assertEqual(seconds, [0.25, 0.5, 1.0, 1.5, 1.5])

    def test_it_begins_again_when_something_works(self):
        backoff = Backoff(0.25, 1.5)
        for _ in range(5):
            backoff.next()
        backoff.reset()
        self.assertEqual([backoff.next(), backoff.next()], [0.25, 0.5])

    def test_no_pause_is_longer_than_the_last_is_now(self):
        backoff = Backoff(0.25, 1.5)
        for _ in range(5):
            backoff.next()
        backoff.last = 0.75
        self.assertEqual([backoff.next(), backoff.next()], [0.75, 0.75])
        backoff.last = 4
        self.assertEqual([backoff.next(), backoff.next()], [0.75, 1.5])

    def test_a_last_pause_below_the_first_counts(self):
        self.assertEqual(Backoff(0.25, 0).next(), 0)
