"""What all parts of the suite use: fresh layers, threads, time, the store."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from django.channels.exceptions import LayerUnavailable
from django.utils.functional import cached_property

from . import children

# No wait of a test is longer, in seconds; only a failing one gets there.
WAIT_SECONDS = 60
# A short life for messages, in seconds.
EXPIRY = 0.1
# How often a machine with much else to do may try to be as quick as that.
TRIES = 20


def cites(requirement, phrase):
    """
    Say which requirement of specs/ a test proves, by some words of its text.

    scripts/specs.py finds the citations and checks them.
    """

    def decorate(test):
        test.cites = (*getattr(test, "cites", ()), (requirement, phrase))
        return test

    return decorate


def in_time(action, let_expire):
    """
    Return what ``action()`` returns, if that took less than EXPIRY.

    On a machine that is too slow for it, ``let_expire()`` has whatever it sent
    expire, and it is called again: TRIES times at the most.
    """
    for _ in range(TRIES):
        begun = time.monotonic()
        result = action()
        if time.monotonic() - begun < EXPIRY:
            break
        let_expire()
    return result


class ConformanceBase:
    """
    The hooks that a layer's own test class may override.

    get_layer() returns a layer with an empty store; pass_time() waits until a
    span of time is over for what a layer holds.
    """

    layer_class = None
    # By how many callers at a time are the tests run? If by several, there are
    # only those tests that can be.
    callers = 1

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls.callers > 1:
            for name in dir(cls):
                if name.startswith("test_") and cls._is_for_one(getattr(cls, name)):
                    # This is how a loader knows that there is none.
                    setattr(cls, name, None)

    @staticmethod
    def _is_for_one(test):
        is_of_suite = test is not None and test.__module__.startswith(__package__)
        return is_of_suite and not getattr(test, "for_callers", False)

    def get_options(self):
        """Return the options of a new layer whose store nothing else uses."""
        return {}

    def get_layer(self, **options):
        """Return a new layer that nothing else uses, with these options."""
        options = {**self.get_options(), **options}
        layer = self.layer_class(**options)
        self._recipes[id(layer)] = (self._path_of(self.layer_class), options)
        return layer

    def get_recipe(self, layer):
        """
        Return what makes a layer on the same store in a fresh interpreter.

        That is the dotted path of a callable and its keyword arguments, which
        JSON can hold. None skips the tests that need it.
        """
        return self._recipes.get(id(layer))

    def pass_time(self, layer, seconds):
        """Return when ``seconds`` are over for the messages of ``layer``."""
        layer.receive(["nothing.comes.here"], block=True, timeout=seconds)

    def in_time(self, layer, action):
        """Return what ``action()`` returns, called before anything can expire."""
        return in_time(action, lambda: self.pass_time(layer.layer, EXPIRY))

    def stop_store(self, layer):
        """Take the store of ``layer`` away; skip the test if that cannot be."""
        self.skipTest(f"{type(self).__name__} does not stop the store of its layers.")

    def start_store(self, layer):
        """Bring the store of ``layer`` back, with or without what it held."""
        raise NotImplementedError("What stops a store starts it, too.")

    def lose_data(self, layer):
        """Have the store lose all it holds, and skip the test if that cannot be."""
        self.skipTest(f"{type(self).__name__} has no store that loses its data.")

    @cached_property
    def _recipes(self):
        # By id: results with a layer in it would not travel between processes.
        return {}

    def _path_of(self, layer_class):
        return f"{layer_class.__module__}.{layer_class.__qualname__}"

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

    def in_fork(self, layer, function, *args):
        """Run a function in a forked child; return a callable for its result."""
        child = children.fork(lambda: function(layer, *args))
        self.addCleanup(child.end)
        return lambda: child.result(2 * WAIT_SECONDS)

    def in_fresh(self, layer, function, *args):
        """Run a function of work.py in a fresh interpreter, as in_fork() does."""
        recipe = self.get_recipe(layer)
        if recipe is None:
            self.skipTest(f"{type(self).__name__} has no recipe for a second process.")
        child = children.start_fresh(recipe, function.__name__, args)
        self.addCleanup(child.end)
        return lambda: child.result(2 * WAIT_SECONDS)

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
