"""What a Redis gave to who listens, and nobody has got."""

import asyncio
import threading
import time

from django.channels.backends.redis import RedisChannelLayer
from django.channels.backends.redis_store.wire import Wire
from django.channels.exceptions import LayerUnavailable
from django.test import SimpleTestCase

from .proxy import Proxy
from .redis_stores import OneRedis
from .services.waiting import wait_for
from .stores import Stores
from .utils import TIMEOUT


class OfferTests(OneRedis, Stores, SimpleTestCase):
    """One store listens for an inbox, another one appends."""

    def setUp(self):
        super().setUp()
        self.store, self.other = self.stores(2)
        self.store.claim([], ["inbox!"])
        self.assertEqual(self.take(self.store, "inbox!", wait=True), [])
        # The server has the read from now on.
        self.assertEqual(self.store.listen(0, ["inbox!"]), [])

    def listen(self, count):
        """Return so many payloads that are offered for the inbox, and maybe more."""
        payloads, until = [], time.monotonic() + TIMEOUT
        while len(payloads) < count and (left := until - time.monotonic()) > 0:
            for name, offered in self.store.listen(left, ["inbox!"]):
                if name == "inbox!":
                    payloads += [e.payload for e in self.store.accept(name, offered)]
        return payloads

    def append(self, *payloads):
        self.other.append([("inbox!", 9, list(payloads))])

    def assertGoesOn(self, *payloads):
        """Assert that these are heard, and then the next one."""
        self.assertEqual(self.listen(len(payloads)), list(payloads))
        self.append(b"last")
        self.assertEqual(self.listen(1), [b"last"])
        self.store.statistics("inbox!")
        statistics = self.other.statistics("inbox!")
        self.assertEqual(statistics["messages_pending"], 0)

    def test_what_was_given_to_a_store_that_was_closed_is_given_again(self):
        self.append(b"1")
        self.store.close()
        self.append(b"2")
        self.assertGoesOn(b"1", b"2")

    def test_what_was_offered_and_not_accepted_is_offered_again(self):
        self.append(b"1")
        self.assertEqual(len(self.store.listen(TIMEOUT, ["inbox!"])), 1)
        self.append(b"2")
        self.assertGoesOn(b"1", b"2")

    def test_a_server_gives_nothing_to_a_connection_that_it_alone_has(self):
        # As after a network was gone: to the server the first one is still there.
        (listener,) = self.store._listeners.values()
        first, listener._wire = listener._wire, Wire(listener.shard.server.connect)
        self.addCleanup(first.close)
        listener._reset()
        self.assertEqual(self.store.listen(0, ["inbox!"]), [])
        self.append(b"1")
        self.assertGoesOn(b"1")


class CutTests(OneRedis, SimpleTestCase):
    """The connection breaks as a message is on its way to a layer."""

    def setUp(self):
        super().setUp()
        self.proxy = self.enterContext(Proxy(self.server.socket))
        self.layer = self.make_layer(("127.0.0.1", self.proxy.port))
        self.other = self.make_layer(self.server.socket_url)
        self.name = self.layer.new_channel("in!")
        self.layer.send(self.name, {"n": 0})
        self.assertEqual(self.layer.receive(["in!"]), (self.name, {"n": 0}))

    def make_layer(self, host):
        layer = RedisChannelLayer([host], prefix=self.prefix)
        self.addCleanup(layer.close)
        return layer

    def break_off(self):
        """Send a message, and break the connection on which it comes."""
        listeners = self.layer._store._listeners
        wait_for(
            lambda: any(listener.is_reading for listener in listeners.values()),
            "a read is with the server",
        )
        self.proxy.hold()
        self.other.send(self.name, {"n": 1})
        self.proxy.cut()
        self.proxy.release()
        self.other.send(self.name, {"n": 2})

    def test_a_thread_receives_it_when_it_is_connected_again(self):
        received = []

        def receive():
            while len(received) < 2:
                try:
                    _, message = self.layer.receive(["in!"], True, TIMEOUT)
                except LayerUnavailable:
                    continue
                received.append(message)

        thread = threading.Thread(target=receive)
        thread.start()
        self.break_off()
        thread.join(2 * TIMEOUT)
        self.assertEqual(received, [{"n": 1}, {"n": 2}])

    def test_a_task_receives_it_when_it_is_connected_again(self):
        async def receive():
            received = []
            while len(received) < 2:
                try:
                    _, message = await self.layer.areceive(["in!"], True, TIMEOUT)
                except LayerUnavailable:
                    continue
                received.append(message)
            return received

        async def main():
            receiving = asyncio.create_task(receive())
            await asyncio.to_thread(self.break_off)
            return await receiving

        self.assertEqual(asyncio.run(main()), [{"n": 1}, {"n": 2}])
