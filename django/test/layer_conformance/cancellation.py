"""Receives that are cancelled, at every step and at any moment."""

import asyncio
import random

from .base import WAIT_SECONDS, ConformanceBase, cites

WAIT = {"block": True, "timeout": WAIT_SECONDS}
# After so many turns of the loop, what is there has been received.
TURNS = 12
# Messages of a test at random, and how long its readers wait at first.
MESSAGES = 200
FIRST_PATIENCE_SECONDS = 0.003


class CancellationTests(ConformanceBase):
    def receive_ways(self, layer, key):
        """Yield the ways to receive, as functions that return pairs."""

        async def receive(**wait):
            pair = await layer.areceive([key], **wait)
            return [] if pair[0] is None else [pair]

        def receive_batch(**wait):
            return layer.areceive_batch(["other", key], 3, **wait)

        for function in (receive, receive_batch):
            for wait in (WAIT, {}):
                yield f"{function.__name__} {wait}", lambda: function(**wait)

    @cites("CL-23", "by a timeout, a cancellation or an interrupt, at any point")
    def test_a_receive_that_is_cancelled_at_any_step_loses_nothing(self):
        async def cancel_after(turns, layer, receive, name):
            await layer.asend(name, {"n": turns})
            task = asyncio.create_task(receive())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            return [] if isinstance(result, asyncio.CancelledError) else result

        for name, key in (("a", "a"), ("a?b", "a?b"), ("a!b", "a!")):
            layer = self.make_layer()
            for way, receive in self.receive_ways(layer, key):
                with self.subTest(name=name, way=way):
                    for turns in range(TURNS):
                        call = cancel_after, turns, layer, receive, name
                        pairs = self.run_async(*call)
                        # What was taken for the task may be on its way back.
                        pairs = pairs or [layer.receive([key], **WAIT)]
                        self.assertEqual(pairs, [(name, {"n": turns})])
            self.assertEmpty(layer, key)

    async def await_pairs(self, layer, in_batches):
        keys = ["a", "b?c", "d!"]
        if in_batches:
            return await layer.areceive_batch(keys, 3, **WAIT)
        return [await layer.areceive(keys, **WAIT)]

    @cites("CL-23", "must neither lose a message nor keep it from other readers")
    def test_receives_that_are_cancelled_at_random_lose_nothing(self):
        layer = self.make_layer(capacity=1000)
        pool = self.pool(2)
        seed = random.randrange(10**6)
        received = []

        def write(number):
            for n in range(number, MESSAGES, 2):
                layer.send(("a", "b?c", "d!e")[n % 3], {"n": n})

        async def read(number):
            chance = random.Random(seed + number)
            patience = FIRST_PATIENCE_SECONDS
            while len(received) < MESSAGES:
                task = asyncio.create_task(self.await_pairs(layer, number % 2))
                if chance.random() < 0.7:
                    seconds = chance.random() * patience
                    await asyncio.wait([task], timeout=seconds)
                else:
                    for _ in range(chance.randrange(TURNS)):
                        await asyncio.sleep(0)
                task.cancel()
                (result,) = await asyncio.gather(task, return_exceptions=True)
                if isinstance(result, asyncio.CancelledError):
                    # A busy store comes to an answer, too.
                    patience *= 1.2
                else:
                    patience = FIRST_PATIENCE_SECONDS
                    received.extend(message["n"] for _, message in result)

        async def main():
            await asyncio.gather(*(read(number) for number in range(4)))

        with self.subTest(seed=seed):
            writers = [pool.submit(write, number) for number in range(2)]
            self.run_async(main)
            for writer in writers:
                writer.result(WAIT_SECONDS)
            self.assertEqual(sorted(received), list(range(MESSAGES)))
            self.assertEmpty(layer, "a", "b?c", "d!")

    @cites("CL-19", "A message must be received at most once")
    def test_a_send_that_is_cancelled_stores_one_message_or_none(self):
        layer = self.make_layer()

        async def cancel_after(turns):
            task = asyncio.create_task(layer.asend("a!b", {"n": turns}))
            for _ in range(turns):
                await asyncio.sleep(0)
            cancelled = task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return cancelled

        sent = [n for n in range(TURNS) if not self.run_async(cancel_after, n)]
        layer.send("a!b", {"n": TURNS})
        sent.append(TURNS)
        received = []
        # One that was cancelled may still be on its way, and come any time.
        while not set(sent) <= set(received):
            received.append(layer.receive(["a!"], **WAIT)[1]["n"])
        received += [m["n"] for m in self.receive_all(layer, ["a!"])]
        self.assertEqual(len(received), len(set(received)))
        self.assertLessEqual(set(received), set(range(TURNS + 1)))
