"""The reference store of the tests keeps the contract that it stands for."""

from django.test import SimpleTestCase

from .dict_store import DictStore, World
from .stores import StoreTests


class DictStoreTests(StoreTests, SimpleTestCase):
    def setUp(self):
        self.world = World()

    def make_store(self, expiry=60):
        return DictStore(self.world, expiry)

    def end(self, store):
        del self.world.leases[store.incarnation]
