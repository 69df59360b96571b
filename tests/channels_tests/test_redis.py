"""The Redis layer keeps the contract, on one server."""

from django.channels.backends.redis import RedisChannelLayer
from django.test import SimpleTestCase
from django.test.channel_layers import ChannelLayerConformanceTests

from . import services


class RedisConformanceTests(ChannelLayerConformanceTests, SimpleTestCase):
    layer_class = RedisChannelLayer

    def get_layer(self, **options):
        return RedisChannelLayer(
            hosts=[services.redis().socket_url],
            prefix=services.unique_name(),
            **options,
        )
