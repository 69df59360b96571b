"""The Redis store keeps the contract of stores, on one server."""

import gc
import socket
import warnings
from unittest import mock

from django.channels.backends.redis_store.processes import _Whistle
from django.test import SimpleTestCase

from .redis_stores import OneRedis
from .stores import StoreTests


class RedisStoreTests(OneRedis, StoreTests, SimpleTestCase):
    pass


class WhistleTests(SimpleTestCase):
    def test_its_sockets_are_closed_in_whatever_order_a_cycle_is_collected(self):
        ends = socket.socketpair()
        with mock.patch.object(socket, "socketpair", return_value=ends):
            whistle = _Whistle()
        # The sockets are older than it: their finalizers come first.
        whistle.itself = whistle
        del ends, whistle
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            gc.collect()
        self.assertEqual([str(each.message) for each in found], [])
