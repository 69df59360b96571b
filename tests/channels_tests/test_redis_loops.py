"""Event loops that send and listen without a thread, on a Redis."""

import asyncio
import threading
from unittest import mock

from django.channels.backends.redis import RedisChannelLayer
from django.channels.backends.redis_store.queues import FLIGHT_BYTES
from django.channels.backends.redis_store.scripts import get_script
from django.channels.backends.shared import flights
from django.channels.exceptions import ChannelFull, LayerUnavailable
from django.test import SimpleTestCase

from .loop_listening import LoopLayers, LoopListeningTests
from .proxy import Proxy
from .redis_stores import OneRedis, command


class RedisLayers(OneRedis):
    def make_layer(self, hosts=None, **options):
        layer = RedisChannelLayer(hosts or self.hosts(), self.prefix, **options)
        self.addCleanup(layer.close)
        return layer


class ListeningTests(LoopListeningTests, RedisLayers, SimpleTestCase):
    def test_what_takes_long_to_read_is_read_in_a_thread(self):
        async def main():
            large = [("in!x", {"n": n, "data": b"x" * 100_000}) for n in range(50)]
            for messages in (large, large[:1]):
                task = await self.begin("in!")
                reader = self.layer._reader
                threads = []

                def apply(*args, apply=reader._apply):
                    threads.append(threading.get_ident())
                    apply(*args)

                with mock.patch.object(reader, "_apply", apply):
                    await self.other.asend_batch(messages)
                    found = [await task]
                    while len(found) < len(messages):
                        found += await self.layer.areceive_batch(["in!"], 99, True)
                self.assertEqual(found, messages)
                self.assertNotIn(threading.get_ident(), threads)

        asyncio.run(main())

    def test_a_lost_connection_is_made_again(self):
        async def main():
            task = await self.begin("in!")
            (shard,) = self.layer._store._shards
            command(shard, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await self.other.asend("in!x", {"n": 1})
            self.assertEqual(await task, ("in!x", {"n": 1}))

        asyncio.run(main())


class SendingTests(LoopLayers, RedisLayers, SimpleTestCase):
    def warm_up(self, layer):
        """Have a connection, and the script on the server."""
        layer.send("warm", {})
        self.other.receive(["warm"])

    def through_proxy(self):
        proxy = self.enterContext(Proxy(self.server.socket))
        layer = self.make_layer([("127.0.0.1", proxy.port)], capacity=3)
        self.warm_up(layer)
        return proxy, layer

    def received(self, name="normal"):
        return [m["n"] for _, m in self.other.receive_batch([name], 100)]

    def test_a_send_on_a_loop_needs_no_thread(self):
        self.warm_up(self.layer)
        asyncio.run(self.layer.asend("normal", {"n": 1}))
        self.assertIsNone(self.layer._owner.courier._thread)
        self.assertEqual(self.received(), [1])

    def test_a_send_to_a_group_on_a_loop_needs_no_thread(self):
        self.other.group_add("g", "normal")
        self.layer.send_group("g", {"n": 1})
        asyncio.run(self.layer.asend_group("g", {"n": 2}))
        self.assertIsNone(self.layer._owner.courier._thread)
        self.assertEqual(self.received(), [1, 2])

    def test_a_send_to_a_group_whose_answer_is_lost_leaves_one_copy(self):
        proxy, layer = self.through_proxy()
        self.other.group_add("g", "normal")
        layer.send_group("g", {"n": 1})
        proxy.lose_answer(get_script("send_group").sha.encode())
        asyncio.run(layer.asend_group("g", {"n": 2}))
        self.assertEqual(proxy.cuts, 1)
        self.assertEqual(self.received(), [1, 2])

    def test_a_send_to_a_group_that_is_cancelled_arrives(self):
        proxy, layer = self.through_proxy()
        self.other.group_add("g", "normal")

        async def main():
            proxy.hold()
            task = asyncio.create_task(layer.asend_group("g", {"n": 1}))
            await self.until(lambda: layer._owner.courier._flying)
            task.cancel()
            await asyncio.wait([task])
            proxy.release()
            await layer.asend_group("g", {"n": 2})

        asyncio.run(main())
        self.assertEqual(self.received(), [1, 2])

    def test_a_large_message_to_a_group_takes_a_thread(self):
        self.warm_up(self.layer)
        self.other.group_add("g", "normal")
        message = {"n": 1, "data": b"x" * FLIGHT_BYTES}
        asyncio.run(self.layer.asend_group("g", message))
        self.assertIsNotNone(self.layer._owner.courier._thread)
        self.assertEqual(self.received(), [1])

    def test_a_full_channel_is_reported(self):
        layer = self.make_layer(capacity=1)
        self.warm_up(layer)

        async def main():
            await layer.asend("normal", {"n": 1})
            message = (
                "Channel 'normal' is full: the capacity of 'normal' is 1 messages."
            )
            with self.assertRaisesMessage(ChannelFull, message):
                await layer.asend("normal", {"n": 2})

        asyncio.run(main())
        self.assertEqual(self.received(), [1])

    def test_a_server_that_forgot_its_scripts_gets_one_copy(self):
        self.warm_up(self.layer)
        (shard,) = self.layer._store._shards
        command(shard, "SCRIPT", "FLUSH")
        asyncio.run(self.layer.asend("normal", {"n": 1}))
        self.assertEqual(self.received(), [1])

    def test_a_lost_answer_leaves_one_copy(self):
        proxy, layer = self.through_proxy()
        proxy.lose_answer(get_script("append").sha.encode())
        asyncio.run(layer.asend("normal", {"n": 1}))
        self.assertEqual(proxy.cuts, 1)
        self.assertEqual(self.received(), [1])

    def test_a_send_that_is_cancelled_mixes_up_no_answers(self):
        proxy, layer = self.through_proxy()

        async def main():
            proxy.hold()
            task = asyncio.create_task(layer.asend("normal", {"n": 0}))
            await self.until(lambda: layer._owner.courier._flying)
            task.cancel()
            await asyncio.wait([task])
            proxy.release()
            sends = [layer.asend("normal", {"n": n}) for n in range(1, 6)]
            return await asyncio.gather(*sends, return_exceptions=True)

        results = asyncio.run(main())
        self.assertEqual(
            [type(e) for e in results], [type(None)] * 2 + [ChannelFull] * 3
        )
        self.assertEqual(self.received(), [0, 1, 2])

    def test_a_thread_waits_for_a_server_that_is_late(self):
        proxy, layer = self.through_proxy()

        async def main():
            proxy.hold()
            send = asyncio.create_task(layer.asend("normal", {"n": 1}))
            await self.until(lambda: layer._owner.courier._open)
            proxy.release()
            await send

        with mock.patch.object(flights, "FLIGHT_SECONDS", 0.01):
            asyncio.run(main())
        self.assertEqual(self.received(), [1])

    def test_a_server_that_is_away_is_reported(self):
        proxy, layer = self.through_proxy()
        proxy.refuse()
        proxy.cut()
        with self.assertRaises(LayerUnavailable):
            asyncio.run(layer.asend("normal", {"n": 1}))
        proxy.accept()
        asyncio.run(layer.asend("normal", {"n": 2}))
        self.assertEqual(self.received(), [2])

    def test_large_and_small_messages_keep_their_order(self):
        self.warm_up(self.layer)

        async def main():
            for n in range(12):
                size = 300_000 if n % 3 else 60_000 if n % 2 else 1
                await self.layer.asend("in!x", {"n": n, "data": b"x" * size})

        asyncio.run(main())
        self.assertEqual(self.received("in!"), list(range(12)))
