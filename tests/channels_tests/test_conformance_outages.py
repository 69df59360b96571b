"""The conformance suite's tests of outages, on a store that a test takes away."""

from django.test import SimpleTestCase
from django.test.channel_layers import ChannelLayerConformanceTests

from .dict_store import DictChannelLayer


class OutageConformanceTests(ChannelLayerConformanceTests, SimpleTestCase):
    layer_class = DictChannelLayer

    def stop_store(self, layer):
        layer.world.away = True

    def start_store(self, layer):
        layer.world.away = False

    def lose_data(self, layer):
        layer.world.lose()
