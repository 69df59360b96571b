"""
Tools for tests of consumers::

    from django.test.channels import ChannelTestCase, WSClient


    class EchoTests(ChannelTestCase):
        def test_echo(self):
            client = WSClient()
            client.send_and_consume("websocket.connect")
            client.send_and_consume("websocket.receive", text="hello")
            self.assertEqual(client.receive(json=False), "hello")

This module is provisional in the sense of PEP 411, as all of django.channels is.
"""

from .channel_tools.cases import (
    ChannelTestCase,
    ChannelTestCaseMixin,
    TransactionChannelTestCase,
)
from .channel_tools.clients import Client
from .channel_tools.layers import SentMessage
from .channel_tools.live import ChannelLiveServerTestCase
from .channel_tools.routes import apply_routes
from .channel_tools.sockets import HttpClient, WSClient

__all__ = [
    "ChannelLiveServerTestCase",
    "ChannelTestCase",
    "ChannelTestCaseMixin",
    "Client",
    "HttpClient",
    "SentMessage",
    "TransactionChannelTestCase",
    "WSClient",
    "apply_routes",
]
