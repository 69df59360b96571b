"""Layers on stores in dicts, for tests of the layer around a store."""

import threading
import time

from django.test import SimpleTestCase

from .dict_store import DictChannelLayer, World
from .utils import TIMEOUT

WAIT = {"block": True, "timeout": TIMEOUT}


class SharedLayerTestCase(SimpleTestCase):
    """Layers on one world stand for processes."""

    def setUp(self):
        self.world = World()

    def make_layer(self, **options):
        layer = DictChannelLayer(self.world, **options)
        self.addCleanup(layer.close)
        return layer

    def in_thread(self, function, *args, **kwargs):
        """Start a call; return a callable for its result."""
        results = []

        def run():
            try:
                results.append(function(*args, **kwargs))
            except Exception as error:
                results.append(error)

        thread = threading.Thread(target=run)
        thread.start()

        def result():
            thread.join(TIMEOUT)
            (outcome,) = results
            return outcome

        return result

    def until_waiting(self, layer, name, count=1):
        """Return when readers wait for a channel and one of them listens."""
        bell = layer._owner.bell

        def waits():
            queue = self.world.queues.get(name)
            enlisted = len(bell._lines.get(name, ())) >= count
            return enlisted and bell._leader is not None and queue and queue.waiting

        until = time.monotonic() + TIMEOUT
        with bell.wanted:
            # Nothing tells that a thread has fallen asleep: look again and again.
            while not waits():
                self.assertLess(time.monotonic(), until, f"Nobody waits for {name}.")
                bell.wanted.wait(0.001)
