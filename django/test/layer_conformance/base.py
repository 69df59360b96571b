"""What all parts of the suite use: fresh layers, both forms, threads, time."""

import asyncio
import functools
import time
from concurrent.futures import ThreadPoolExecutor

from django.channels.exceptions import LayerUnavailable

# No wait of a test is longer, in seconds; only a failing one gets there.
WAIT_SECONDS = 20
# A short life for messages, in seconds.
EXPIRY = 0.1


def cites(requirement, phrase):
    """
    Say which requirement of specs/ a test proves, by some words of its text.

    scripts/specs.py finds the citations and checks them.
    """

    def decorate(test):
        test.cites = (*getattr(test, "cites", ()), (requirement, phrase))
        return test

    return decorate


def both_forms(extension=None, **options):
    """
    Run a test with the sync and with the async form of a fresh layer.

    The test is written once, with sync calls. It is skipped if the layer does
    not have the ``extension``.
    """

    def decorate(test):
        @functools.wraps(test)
        def run(self):
            for form in (SyncForm, AsyncForm):
                with self.subTest(form=form.__name__):
                    layer = self.make_layer(**options)
                    self.require(layer, extension)
                    with form(layer) as calls:
                        test(self, calls)

        return run

    return decorate


class SyncForm:
    """The methods of a layer as they are."""

    def __init__(self, layer):
        self.layer = layer

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def __getattr__(self, name):
        return getattr(self.layer, name)


class AsyncForm(SyncForm):
    """The async methods of a layer, called by the names of the sync ones."""

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        return self

    def __exit__(self, *exception):
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def __getattr__(self, name):
        function = getattr(self.layer, f"a{name}", None)
        if function is None:
            return getattr(self.layer, name)

        def call(*args, **kwargs):
            return self._loop.run_until_complete(function(*args, **kwargs))

        return call


class ConformanceBase:
    """
    The hooks that a layer's own test class may override.

    get_layer() returns a layer with an empty store; pass_time() waits until a
    span of time is over for what a layer holds.
    """

    layer_class = None

    def get_layer(self, **options):
        """Return a new layer that nothing else uses."""
        return self.layer_class(**options)

    def pass_time(self, layer, seconds):
        """Return when ``seconds`` are over for the messages of ``layer``."""
        layer.receive(["nothing.comes.here"], block=True, timeout=seconds)

    def stop_store(self, layer):
        """Take the store of ``layer`` away; skip the test if that cannot be."""
        self.skipTest(f"{type(self).__name__} does not stop the store of its layers.")

    def start_store(self, layer):
        """Bring the store of ``layer`` back, with or without what it held."""
        raise NotImplementedError("What stops a store starts it, too.")

    def lose_data(self, layer):
        """Have the store lose all it holds, and skip the test if that cannot be."""
        self.skipTest(f"{type(self).__name__} has no store that loses its data.")

    def make_layer(self, **options):
        """Return a layer that is flushed and closed when the test ends."""
        layer = self.get_layer(**options)
        self.addCleanup(layer.close)
        if "flush" in layer.extensions:
            self.addCleanup(layer.flush)
        return layer

    def require(self, layer, extension):
        """Skip the test if ``layer`` does not have ``extension``."""
        if extension is not None and extension not in layer.extensions:
            self.skipTest(f"{type(layer).__name__} has no extension {extension}.")

    def pool(self, threads):
        """Return an executor whose threads end with the test."""
        pool = ThreadPoolExecutor(threads)
        self.addCleanup(pool.shutdown)
        return pool

    def run_async(self, function, *args):
        """Return the result of a coroutine function, run on a loop of its own."""
        return asyncio.run(asyncio.wait_for(function(*args), WAIT_SECONDS))

    def until_available(self, layer):
        """Return when the store of ``layer`` answers."""
        end = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return layer.check(reach=True)
            except LayerUnavailable:
                if time.monotonic() > end:
                    raise

    def until_reader(self, layer, name):
        """Return when a reader waits for a channel, if that can be known."""
        if "statistics" in layer.extensions:
            end = time.monotonic() + WAIT_SECONDS
            while not layer.queues().get(name, {}).get("readers"):
                self.assertLess(time.monotonic(), end, "No reader came.")

    def receive_all(self, layer, channels):
        """Return the messages that wait, of one channel in their order."""
        messages = []
        while (pair := layer.receive(channels))[0] is not None:
            messages.append(pair[1])
        return messages

    def receive_waiting(self, layer, channels):
        """Return the next pair; it may still be on its way."""
        return layer.receive(channels, block=True, timeout=WAIT_SECONDS)

    def fill(self, layer, name):
        """Send until ``name`` is full; return how many messages it took."""
        for n in range(1000):
            try:
                layer.send(name, {"n": n})
            except layer.ChannelFull:
                return n

    def assertEmpty(self, layer, *channels):
        self.assertEqual(layer.receive(channels), (None, None))
