"""Loops over listen() and alisten(), for tests that say what both do."""

import asyncio
import signal

from django.channels.background import alisten, listen

from .layers import make_layer


class LayerTests:
    """For a SimpleTestCase: each test has a layer."""

    def setUp(self):
        self.layer = make_layer(capacity=1000)
        # Not those of the test runner.
        for number, handler in (
            (signal.SIGINT, signal.default_int_handler),
            (signal.SIGTERM, signal.SIG_DFL),
        ):
            before = signal.signal(number, handler)
            self.addCleanup(signal.signal, number, before)

    def left(self):
        """Return the numbers that are on the channel "a" still."""
        pairs = self.layer.receive_batch(["a"], 100)
        return [content["n"] for _, content in pairs]

    def send(self, *numbers):
        for n in numbers:
            self.layer.send("a", {"n": n})


class SyncLoops:
    """Loops over listen(), each in the thread that calls."""

    def collect(self, count, body=None, **options):
        """Return the first messages of a loop that ends after so many."""
        messages = listen("a", "b", channel_layer=self.layer, **options)
        found = []
        for message in messages:
            found.append(message)
            if body:
                body(message, messages)
            if len(found) == count:
                break
        return found

    def drain(self, body=None, **options):
        """Return all messages of a loop that ends by itself."""
        return self.collect(None, body, **options)


class AsyncLoops(SyncLoops):
    """Loops over alisten(), each in an event loop of its own."""

    def collect(self, count, body=None, **options):
        async def loop():
            messages = alisten("a", "b", channel_layer=self.layer, **options)
            found = []
            async for message in messages:
                found.append(message)
                if body:
                    body(message, messages)
                if len(found) == count:
                    break
            return found

        # It waits for what a loop that was left has to do yet.
        return asyncio.run(loop())
