"""Event loops that listen without a thread, on one machine."""

from django.channels.backends.ipc import IPCChannelLayer
from django.test import SimpleTestCase

from .ipc import IPCTests
from .loop_listening import LoopListeningTests


class ListeningTests(LoopListeningTests, IPCTests, SimpleTestCase):
    def make_layer(self):
        layer = IPCChannelLayer(self.path)
        self.addCleanup(layer.close)
        return layer
