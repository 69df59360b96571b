"""The Redis store keeps the contract of stores, on one server."""

from django.test import SimpleTestCase

from .redis_stores import OneRedis
from .stores import StoreTests


class RedisStoreTests(OneRedis, StoreTests, SimpleTestCase):
    pass
