"""The Redis store keeps the contract of stores, on one server."""

import gc
import os
from unittest import mock

from django.channels.backends.redis_store.processes import _Whistle
from django.channels.exceptions import LayerUnavailable
from django.test import SimpleTestCase

from .redis_stores import OneRedis
from .stores import StoreTests


class RedisStoreTests(OneRedis, StoreTests, SimpleTestCase):
    def test_a_new_lease_that_it_was_not_told_of_is_no_old_one(self):
        (store,) = self.stores(1)
        (shard,) = store._shards
        renew, calls = shard.run, []

        def run(name, *args):
            reply = renew(name, *args)
            calls.append(name)
            if calls == ["renew", "renew"]:
                raise LayerUnavailable("The answer was cut.")
            return reply

        self.end(store)
        with mock.patch.object(shard, "run", run):
            with self.assertRaisesMessage(LayerUnavailable, "cut"):
                store.renew()
            self.assertIs(store.renew(), False)
            self.assertIs(store.renew(), True)


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
