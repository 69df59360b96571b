"""What tests of sessions have in common."""

from importlib import import_module

from django.channels.sessions import session_for_reply_channel
from django.conf import settings
from django.core.cache import cache
from django.test import TestCase

from .layers import make_layer
from .socket_messages import REPLY_CHANNEL, connect_message, socket_message

BACKENDS = "django.contrib.sessions.backends"


class SessionTestCase(TestCase):
    def setUp(self):
        self.layer = make_layer()
        # Where some engines store sessions.
        cache.clear()
        self.addCleanup(cache.clear)

    def message(self, channel="websocket.receive", **content):
        return socket_message(self.layer, channel, **content)

    def connect(self, **content):
        return connect_message(self.layer, **content)

    def stored(self):
        """Return what is stored for the test's socket."""
        return dict(session_for_reply_channel(REPLY_CHANNEL).items())

    def make_http_session(self, **data):
        """Return the stored session of a browser."""
        store = import_module(settings.SESSION_ENGINE).SessionStore()
        store.update(data)
        store.save()
        return store
