"""Eight threads and eight tasks at a time, on the same names of one layer."""

import asyncio
import random
import threading
from collections import Counter

from .base import WAIT_SECONDS, ConformanceBase, cites

CALLERS = 8
# How many calls each caller makes.
CALLS = 40
# So much room that nothing is refused.
ROOM = 10_000

PLAIN = ["a", "b?c", "in!x", "in!y"]
KEYS = ["a", "b?c", "in!"]


class Ledger:
    """What was sent and what came of it, of all callers together."""

    def __init__(self):
        self.lock = threading.Lock()
        self.numbers = iter(range(10**9))
        # {(channel, number)} of messages to channels.
        self.sent = set()
        # The numbers of messages to groups.
        self.to_groups = set()
        self.received = Counter()

    def number(self):
        with self.lock:
            return next(self.numbers)

    def note(self, pairs):
        with self.lock:
            self.received.update((name, message["n"]) for name, message in pairs)


class RandomCaller:
    """
    Makes random calls by ``call(name, *args)``, a coroutine function.

    Each kind of call is one method, so that a failure names it.
    """

    def __init__(self, case, layer, ledger, seed):
        self.case = case
        self.layer = layer
        self.ledger = ledger
        self.random = random.Random(seed)
        self.kinds = [self.send, self.send_batch, self.receive, self.receive]
        self.kinds += [self.receive_batch, self.put_back, self.open_and_close]
        if "groups" in layer.extensions:
            self.kinds += [self.change_group, self.send_group]
        if "statistics" in layer.extensions:
            self.kinds.append(self.count)

    async def run(self, call):
        for _ in range(CALLS):
            await self.random.choice(self.kinds)(call)

    def sends(self, count):
        pairs = [
            (self.random.choice(PLAIN), {"n": self.ledger.number()})
            for _ in range(count)
        ]
        with self.ledger.lock:
            self.ledger.sent.update((name, message["n"]) for name, message in pairs)
        return pairs

    def keys(self):
        return self.random.sample(KEYS, self.random.randint(1, 3))

    async def send(self, call):
        await call("send", *self.sends(1)[0])

    async def send_batch(self, call):
        results = await call("send_batch", self.sends(5))
        self.case.assertEqual(results, [None] * 5)

    async def receive(self, call):
        name, message = await call("receive", self.keys())
        if name is not None:
            self.ledger.note([(name, message)])

    async def receive_batch(self, call):
        self.ledger.note(await call("receive_batch", self.keys(), 3))

    async def put_back(self, call):
        pairs = await call("receive_batch", self.keys(), 2)
        results = await call("put_back", pairs)
        self.case.assertEqual(results, [None] * len(pairs))

    async def open_and_close(self, call):
        name = await call("new_channel", self.random.choice(["own!", "own?"]))
        await call("send", name, {})
        await call("close_channel", name)

    async def change_group(self, call):
        name = self.random.choice(["group_add", "group_discard"])
        await call(name, "group", self.random.choice(PLAIN))

    async def send_group(self, call):
        number = self.ledger.number()
        with self.ledger.lock:
            self.ledger.to_groups.add(number)
        await call("send_group", "group", {"n": number})

    async def count(self, call):
        channel = self.random.choice([None, *PLAIN])
        self.case.assertAccounts(await call("statistics", channel))


class ConcurrencyTests(ConformanceBase):
    def assertAccounts(self, statistics):
        keys = ("delivered_count", "dropped_count", "expired_count", "messages_pending")
        self.assertEqual(statistics["messages_count"], sum(statistics[k] for k in keys))

    def run_all(self, layer, function):
        """
        Run ``function(number, call)`` in eight threads and in eight tasks.

        ``call(name, *args)`` is a call of the layer, in the form of the caller.
        """

        def in_thread(number):
            async def call(name, *args, **kwargs):
                return getattr(layer, name)(*args, **kwargs)

            # There is nothing to wait for in it: no loop runs.
            try:
                function(number, call).send(None)
            except StopIteration:
                pass

        async def in_tasks():
            def call(name, *args, **kwargs):
                return getattr(layer, f"a{name}")(*args, **kwargs)

            numbers = range(CALLERS, 2 * CALLERS)
            await asyncio.gather(*(function(number, call) for number in numbers))

        pool = self.pool(CALLERS + 1)
        futures = [pool.submit(in_thread, number) for number in range(CALLERS)]
        futures.append(pool.submit(self.run_async, in_tasks))
        for future in futures:
            future.result(2 * WAIT_SECONDS)

    @cites("CL-19", "whatever number of threads, tasks and processes receive")
    @cites("CL-20", "must be received by a reader of its channel")
    @cites("CL-45", "at any time")
    def test_calls_of_all_kinds_at_a_time_keep_the_accounts(self):
        layer = self.make_layer(capacity=ROOM)
        ledger = Ledger()
        seed = random.randrange(10**6)

        async def call_at_random(number, call):
            await RandomCaller(self, layer, ledger, seed + number).run(call)

        with self.subTest(seed=seed):
            self.run_all(layer, call_at_random)
            while pairs := layer.receive_batch(KEYS, 100):
                ledger.note(pairs)
            twice = {key for key, count in ledger.received.items() if count > 1}
            self.assertEqual(twice, set())
            received = set(ledger.received)
            self.assertEqual(ledger.sent - received, set())
            of_groups = received - ledger.sent
            self.assertLessEqual({n for _, n in of_groups}, ledger.to_groups)
            if "statistics" in layer.extensions:
                self.assertAccounts(layer.statistics())
                self.assertEqual(layer.statistics()["messages_pending"], 0)

    @cites("CL-30", "A full channel must refuse a message with ChannelFull")
    @cites("CL-31", "Capacity must be counted in messages")
    def test_senders_at_a_time_fill_a_channel_to_its_capacity(self):
        for name, key in (("a", "a"), ("a?b", "a?b"), ("a!b", "a!")):
            layer = self.make_layer(capacity=20)
            stored = []

            async def fill(number, call):
                for n in range(3):
                    try:
                        await call("send", name, {})
                        stored.append(number)
                    except layer.ChannelFull:
                        pass
                    results = await call("send_batch", [(name, {})] * 2)
                    stored.extend([number] * results.count(None))

            with self.subTest(name=name):
                self.run_all(layer, fill)
                self.assertEqual(len(stored), 20)
                self.assertEqual(len(self.receive_all(layer, [key])), 20)

    @cites("CL-9", "was never given before")
    def test_names_that_are_made_at_a_time_differ(self):
        layer = self.make_layer()
        names = []

        async def make(number, call):
            for pattern in ("in!", "body?") * 10:
                names.append(await call("new_channel", pattern))

        self.run_all(layer, make)
        self.assertEqual(len(set(names)), 2 * CALLERS * 20)

    @cites("CL-40", "has returned, every send_group() that begins must reach")
    @cites("CL-40", "has, none does")
    def test_members_that_come_and_go_at_a_time_get_what_is_theirs(self):
        layer = self.make_layer(capacity=ROOM)
        self.require(layer, "groups")

        async def come_and_go(number, call):
            inbox = f"in{number}!"
            for n in range(8):
                name = await call("new_channel", inbox)
                await call("group_add", "group", name)
                await call("send_group", "group", {"from": number, "n": n})
                own = []
                while not own:
                    pairs = await call("receive_batch", [inbox], 10)
                    self.assertTrue(pairs)
                    own = [m["n"] for _, m in pairs if m["from"] == number]
                self.assertEqual(own, [n])
                await call("group_discard", "group", name)
                while await call("receive_batch", [inbox], 10):
                    pass
                # What the others send meanwhile is for the others.
                await call("send_group", "group", {"from": number, "n": n})
                self.assertEqual(await call("receive", [inbox]), (None, None))

        self.run_all(layer, come_and_go)
