"""The conformance suite by eight callers at a time, on layers of each kind."""

from django.channels.backends.memory import MemoryChannelLayer
from django.test import SimpleTestCase
from django.test.channel_layers import ChannelLayerConformanceTests

from .dict_store import DictChannelLayer
from .third_party import AsyncOnlyLayer, SyncOnlyLayer


class MemoryCallerTests(ChannelLayerConformanceTests, SimpleTestCase):
    layer_class = MemoryChannelLayer
    callers = 8


class SharedCallerTests(ChannelLayerConformanceTests, SimpleTestCase):
    layer_class = DictChannelLayer
    callers = 8


class SyncOnlyCallerTests(ChannelLayerConformanceTests, SimpleTestCase):
    layer_class = SyncOnlyLayer
    callers = 8


class AsyncOnlyCallerTests(ChannelLayerConformanceTests, SimpleTestCase):
    layer_class = AsyncOnlyLayer
    callers = 8
