"""The Redis store keeps the contract of stores, on one server."""

import gc
import os
import threading
from unittest import mock

from django.channels.backends.redis_store import processes
from django.channels.backends.redis_store.listener import Listener
from django.channels.backends.redis_store.processes import _Whistle
from django.channels.backends.redis_store.wire import WireError
from django.channels.exceptions import LayerUnavailable
from django.test import SimpleTestCase

from .redis_stores import OneRedis
from .stores import StoreTests
from .utils import TIMEOUT


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


class ListenerTests(SimpleTestCase):
    def test_somebody_looks_what_it_reads_while_another_thread_receives(self):
        class Shard:
            server = mock.Mock()

            @property
            def keys(self):
                # The read ends just now.
                listener._reading = None
                return "keys"

        listener = Listener(Shard(), "reader", 1000)
        listener._bell, listener._keys = "bell", "keys"
        listener._reading = frozenset(["in!"])
        with mock.patch.object(listener, "_wire") as wire:
            wire.has_pending.return_value = False
            with mock.patch.object(Listener, "patience", 1):
                self.assertIs(listener.ear("bell", ["in!"]), wire.fileno())
                listener._reading = frozenset(["in!"])
                wire.fileno.side_effect = WireError("The connection was closed.")
                self.assertIsNone(listener.ear("bell", ["in!"]))


class WhistleTests(SimpleTestCase):
    def test_a_finalizer_blows_it_while_its_thread_hushes_it(self):
        whistle, read = _Whistle(), os.read

        def read_late(*args):
            whistle.blow()
            return read(*args)

        hushed = []
        whistle.blow()
        with mock.patch.object(processes.os, "read", read_late):
            thread = threading.Thread(target=lambda: hushed.append(whistle.hush()))
            thread.daemon = True
            thread.start()
            thread.join(TIMEOUT)
        self.assertEqual(hushed, [True])
        self.assertEqual([whistle.hush(), whistle.hush()], [True, False])

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
