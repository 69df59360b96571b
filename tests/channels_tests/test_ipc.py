"""The ipc layer and its store keep the contracts of both."""

import tempfile

from django.channels.backends.ipc import IPCChannelLayer
from django.test import SimpleTestCase
from django.test.channel_layers import ChannelLayerConformanceTests

from .ipc import IPCTests
from .stores import StoreTests


class LMDBStoreTests(IPCTests, StoreTests, SimpleTestCase):
    def end(self, store):
        store._life.end()
        # What another process does once a second.
        self.make_store().renew()


class IPCConformanceTests(IPCTests, ChannelLayerConformanceTests, SimpleTestCase):
    layer_class = IPCChannelLayer

    def get_options(self):
        # Each form begins with an empty layer.
        return {"path": tempfile.mkdtemp(dir=self.path)}
