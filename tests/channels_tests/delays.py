"""The app django.channels.delay for tests: its table, messages, and workers."""

import threading
from contextlib import contextmanager

from django.channels.backends.memory import MemoryChannelLayer
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.test import modify_settings

from .layers import make_layer
from .utils import TIMEOUT, patch_for

TABLE = "channels_delay_delayedmessage"

LOGGER = "django.channels.delay"

# Seconds until a look that no test waits for.
NEVER = 3600


class DelayTests:
    """
    For a DatabaseTestCase: the app is installed and its table is migrated.

    Each test begins with an empty table and a memory layer.
    """

    @classmethod
    def setUpClass(cls):
        installed = modify_settings(
            INSTALLED_APPS={"append": "django.channels.delay"},
        )
        installed.enable()
        cls.addClassCleanup(installed.disable)
        super().setUpClass()
        from django.channels.delay.models import DelayedMessage

        connection = connections[cls.using]
        cls.addClassCleanup(delattr, connections._connections, cls.using)
        cls.addClassCleanup(connection.close)
        MigrationExecutor(connection).migrate([("channels_delay", "0001_initial")])
        cls.objects = DelayedMessage.objects.using(cls.using)

    def setUp(self):
        super().setUp()
        self.objects.all().delete()
        self.layer = make_layer(layer_class=MemoryChannelLayer)

    def make(self, channel="target", delay=0, content=None, **fields):
        """Return an unsaved message."""
        from django.channels.delay import protocol

        text = protocol.encode({} if content is None else content)
        return self.objects.model(
            channel_name=channel, delay=delay, content=text, **fields
        )

    def keep(self, *args, **options):
        """Store a message as a delay server does, and return it. See make()."""
        message = self.make(*args, **options)
        message.save(using=self.using, force_insert=True)
        return message

    def ask(self, delay=1, channel="target", **content):
        """Send a message to asgi.delay."""
        message = {"channel": channel, "delay": delay, "content": content}
        self.layer.send("asgi.delay", message)

    def make_worker(self, **options):
        """Return a Worker on the layer and the database."""
        from django.channels.delay.worker import Worker

        return Worker(self.layer, using=self.using, **options)

    def run_worker(self, **options):
        """Return a Worker that runs in a thread until the test ends."""
        worker = self.make_worker(**options)

        def run():
            try:
                worker.run()
            finally:
                connections[self.using].close()

        thread = threading.Thread(target=run, daemon=True)

        def end():
            worker.stop()
            thread.join(TIMEOUT)
            self.assertFalse(thread.is_alive())

        self.addCleanup(end)
        worker.end = end
        thread.start()
        return worker

    def receive(self, channel="target"):
        """Return the next content on a channel; fail if none comes."""
        name, content = self.layer.receive([channel], block=True, timeout=TIMEOUT)
        self.assertEqual(name, channel)
        return content

    def patch(self, module, name, value):
        """Have a constant of worker.py or keeper.py be another one."""
        from django.channels.delay import keeper, worker

        patch_for(self, {"keeper": keeper, "worker": worker}[module], name, value)

    def execute(self, sql):
        """Execute a statement in the database."""
        with connections[self.using].cursor() as cursor:
            cursor.execute(sql)

    @contextmanager
    def table_away(self):
        """Have every statement on the table fail within the block."""
        self.execute(f"ALTER TABLE {TABLE} RENAME TO away")
        try:
            yield
        finally:
            self.execute(f"ALTER TABLE away RENAME TO {TABLE}")
