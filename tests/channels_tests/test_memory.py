"""The memory layer: the contract, and what is its own."""

from django.channels.backends.memory import MemoryChannelLayer
from django.test import SimpleTestCase
from django.test.channel_layers import ChannelLayerConformanceTests


class MemoryConformanceTests(ChannelLayerConformanceTests, SimpleTestCase):
    layer_class = MemoryChannelLayer
