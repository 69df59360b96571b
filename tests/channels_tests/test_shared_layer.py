"""The layer around a store, on a store in dicts."""

from django.test import SimpleTestCase
from django.test.channel_layers import ChannelLayerConformanceTests

from .dict_store import DictChannelLayer


class DictLayerTests(ChannelLayerConformanceTests, SimpleTestCase):
    layer_class = DictChannelLayer
