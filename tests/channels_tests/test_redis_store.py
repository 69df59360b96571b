"""The Redis store keeps the contract of stores, on one server."""

import gc
import os

from django.channels.backends.redis_store.processes import _Whistle
from django.test import SimpleTestCase

from .redis_stores import OneRedis
from .stores import StoreTests


class RedisStoreTests(OneRedis, StoreTests, SimpleTestCase):
    pass


class WhistleTests(SimpleTestCase):
    def test_it_is_closed_with_the_store_that_nobody_has_any_more(self):
        whistle = _Whistle()
        whistle.blow()
        reading = os.dup(whistle.fileno())
        self.addCleanup(os.close, reading)
        # A store and its whistle are in cycles.
        whistle.itself = whistle
        del whistle
        gc.collect()
        self.assertEqual([os.read(reading, 2), os.read(reading, 2)], [b"!", b""])
