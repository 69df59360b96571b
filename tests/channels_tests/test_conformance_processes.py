"""The conformance suite on a layer of somebody else that spans processes."""

from django.test import SimpleTestCase
from django.test.channel_layers import ChannelLayerConformanceTests

from .remote_layer import LayerServer, RemoteLayer


class RemoteLayerTests(ChannelLayerConformanceTests, SimpleTestCase):
    layer_class = RemoteLayer

    def get_options(self):
        server = LayerServer()
        self.addCleanup(server.close)
        return {"address": server.address}
