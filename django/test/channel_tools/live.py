"""
A test case with a server in a thread, for sockets and HTTP.

In: connections of browsers and other clients. Out: consumers and views, run in
threads of the test's process, on its database.
"""

from django.apps import apps
from django.channels import DEFAULT_CHANNEL_LAYER, channel_layers
from django.core.exceptions import ImproperlyConfigured
from django.test import LiveServerTestCase
from django.utils.functional import classproperty

from .assertions import MessageAssertions
from .layers import layers_in_memory
from .serving import ChannelLiveServerThread, find_server


class ChannelLiveServerTestCase(MessageAssertions, LiveServerTestCase):
    """
    A LiveServerTestCase whose server has WebSockets.

    It serves views and consumers as runserver does, from one thread of this
    process, with layers in memory. At the end of a test, its connections are closed,
    what consumers have begun is waited for, and other messages are forgotten.

    ``worker_threads`` run the consumers of connections, and as many those of named
    channels; with a database in memory, which all threads share, one consumer runs
    at a time. ``serve_static`` has the static files of all apps served.
    """

    test_channel_aliases = [DEFAULT_CHANNEL_LAYER]
    worker_threads = 1
    serve_static = True
    server_thread_class = ChannelLiveServerThread

    @classproperty
    def live_server_ws_url(cls):
        """The URL of the server for sockets."""
        return "ws://%s:%s" % (cls.host, cls.server_thread.port)

    @classmethod
    def setUpClass(cls):
        if not isinstance(cls.worker_threads, int) or cls.worker_threads < 1:
            raise ImproperlyConfigured(
                f"{cls.__name__}.worker_threads must be an int of at least 1, not "
                f"{cls.worker_threads!r}."
            )
        find_server()
        super().setUpClass()

    @classmethod
    def _start_server_thread(cls):
        # The server's thread ends before they do.
        cls.enterClassContext(layers_in_memory(cls.test_channel_aliases))
        super()._start_server_thread()

    @classmethod
    def _create_server_thread(cls, connections_override):
        has_static = apps.is_installed("django.contrib.staticfiles")
        return cls.server_thread_class(
            cls.host,
            connections_override=connections_override,
            port=cls.port,
            threads=cls.worker_threads,
            serve_static=cls.serve_static and has_static,
        )

    def _fixture_teardown(self):
        # Before the database is emptied, which consumers may still be using.
        self.server_thread.end_connections()
        super()._fixture_teardown()
        for alias in self.test_channel_aliases:
            channel_layers[alias].flush()
        self.server_thread.application.start()
