"""Layers do what a model of the contract does, whatever they are told."""

import asyncio
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from unittest import mock, skipUnless

from django.channels.backends.database import DatabaseChannelLayer
from django.channels.backends.memory import MemoryChannelLayer
from django.channels.exceptions import ChannelFull
from django.channels.names import queue_of
from django.test import SimpleTestCase, tag

from . import services, test_memory
from .dict_store import DictChannelLayer, World
from .ipc import MEMORY, require_lmdb
from .layer_model import LayerModel

try:
    from hypothesis import HealthCheck, Phase, settings
    from hypothesis import strategies as st
    from hypothesis.stateful import (
        RuleBasedStateMachine,
        initialize,
        rule,
        run_state_machine_as_test,
    )
except ImportError:
    hypothesis = None
    RuleBasedStateMachine = object
else:
    hypothesis = True

# In seconds; a step of time never ends where one of them does.
EXPIRY = 2.5
GROUP_EXPIRY = 5.5

OPTIONS = {
    "capacity": 3,
    "channel_capacity": {"normal.b": 1, "in1!": 2},
    "group_expiry": GROUP_EXPIRY,
}
PLAIN = ["normal.a", "normal.b", "one?a", "one?b"]
GROUPS = ["first", "second"]


class MemoryUnderTest:
    """One process, whose clock the test moves."""

    exact = True
    group_expiry = GROUP_EXPIRY

    def __init__(self):
        self.layers = [test_memory.make_layer(expiry=EXPIRY, **OPTIONS)]
        self.expiry = EXPIRY

    def pass_time(self, seconds):
        self.layers[0].clock.now += seconds

    def close(self):
        for layer in self.layers:
            layer.close()


class DictUnderTest(MemoryUnderTest):
    """Two processes on dicts, and one clock for both."""

    exact = False

    def __init__(self):
        self.expiry = EXPIRY
        self.clock = test_memory.Clock()
        world = World()
        world.clock = self.clock
        patcher = mock.patch("django.channels.backends.shared.inboxes.time")
        patcher.start().monotonic = self.clock
        self.layers = [
            DictChannelLayer(world, expiry=EXPIRY, **OPTIONS) for _ in range(2)
        ]
        self.stop = patcher.stop

    def pass_time(self, seconds):
        self.clock.now += seconds
        for layer in self.layers:
            # As the keeper does it, which lives by another clock.
            if layer._store.generation is not None:
                assert layer._store.renew()

    def close(self):
        super().close()
        self.stop()


class StoreUnderTest(MemoryUnderTest):
    """Two processes on a store whose clock nobody sets."""

    exact = False
    pass_time = None
    # Nothing ends by itself, however slow the machine is.
    expiry = group_expiry = 3600

    def __init__(self, make_layer, make_place):
        place = make_place()
        options = {**OPTIONS, "group_expiry": self.group_expiry}
        self.layers = [
            make_layer(place, expiry=self.expiry, **options) for _ in range(2)
        ]


class ForgetfulLayer(MemoryChannelLayer):
    """It loses what it has received in a batch of two."""

    def receive_batch(self, *args, **kwargs):
        pairs = super().receive_batch(*args, **kwargs)
        return pairs[:1] if len(pairs) == 2 else pairs


class RepeatingLayer(MemoryChannelLayer):
    """It returns messages that it has returned before."""

    def receive(self, *args, **kwargs):
        pair = super().receive(*args, **kwargs)
        if pair[0] is not None and pair[1]["n"] % 2:
            self.put_back([pair])
        return pair


class DisorderedLayer(MemoryChannelLayer):
    """It turns batches around."""

    def receive_batch(self, *args, **kwargs):
        return super().receive_batch(*args, **kwargs)[::-1]


class GenerousLayer(MemoryChannelLayer):
    """It does not end memberships."""

    def group_discard(self, *args):
        pass


BAD_LAYERS = [ForgetfulLayer, RepeatingLayer, DisorderedLayer, GenerousLayer]


if hypothesis:
    processes = st.integers(0, 1)
    indexes = st.integers(0, 7)
    groups = st.sampled_from(GROUPS)
    forms = st.booleans()
    limits = st.integers(1, 4)


class LayerMachine(RuleBasedStateMachine):
    """Calls of a layer's methods in any order, in both forms, by each process."""

    make = None

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.under_test = self.make()
        self.layers = self.under_test.layers
        self.model = LayerModel(
            self.layers[0].get_capacity,
            self.under_test.expiry,
            self.under_test.group_expiry,
            self.under_test.exact,
        )
        self.number = 0
        # Of each process: the names that its inbox has, and what it received.
        self.names = [[] for _ in self.layers]
        self.at_hand = [[] for _ in self.layers]

    def teardown(self):
        try:
            # Not after a failure: it is the one to be reported.
            if sys.exc_info()[0] is None:
                self.drain()
        finally:
            self.under_test.close()
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()

    def call(self, process, is_async, name, *args):
        layer = self.layers[process]
        if is_async:
            return self.loop.run_until_complete(getattr(layer, f"a{name}")(*args))
        return getattr(layer, name)(*args)

    def process(self, number):
        return number % len(self.layers)

    def channels(self):
        return PLAIN + sum(self.names, [])

    def pick(self, index):
        channels = self.channels()
        return channels[index % len(channels)]

    def owns(self, process, channel):
        return channel in self.names[process]

    def message(self):
        self.number += 1
        return {"n": self.number}

    def queues(self, process):
        return [*PLAIN, f"in{process}!"]

    # What can be done.

    @initialize()
    def open_one(self):
        for process in range(len(self.layers)):
            self.open(process, False)

    @rule(number=processes, is_async=forms)
    def open(self, number, is_async):
        process = self.process(number)
        if len(self.names[process]) < 4:
            name = self.call(process, is_async, "new_channel", f"in{process}!")
            self.names[process].append(name)

    @rule(number=processes, index=indexes, is_async=forms)
    def close(self, number, index, is_async):
        process = self.process(number)
        own = [*PLAIN[2:], *self.names[process]]
        name = own[index % len(own)]
        self.call(process, is_async, "close_channel", name)
        self.model.close(name)

    @rule(number=processes, index=indexes, is_async=forms)
    def send(self, number, index, is_async):
        process, channel, message = (
            self.process(number),
            self.pick(index),
            self.message(),
        )
        try:
            self.call(process, is_async, "send", channel, message)
            refused = False
        except ChannelFull:
            refused = True
        owns = self.owns(process, channel)
        self.model.sent(message["n"], channel, process, refused, owns)

    @rule(
        number=processes,
        indexes=st.lists(indexes, min_size=1, max_size=6),
        is_async=forms,
    )
    def send_batch(self, number, indexes, is_async):
        process = self.process(number)
        pairs = [(self.pick(index), self.message()) for index in indexes]
        results = self.call(process, is_async, "send_batch", pairs)
        assert len(results) == len(pairs)
        full = set()
        for (channel, message), result in zip(pairs, results):
            refused = isinstance(result, ChannelFull)
            queue = queue_of(channel)
            if channel in self.model.closed and queue in full:
                # One requirement says that it is dropped, and one that it is refused.
                self.model.refused(queue) if refused else self.model.dropped(queue)
                continue
            assert refused or queue not in full, "It overtook another."
            full |= {queue} if refused else set()
            owns = self.owns(process, channel)
            self.model.sent(message["n"], channel, process, refused, owns)

    @rule(
        number=processes,
        indexes=st.lists(indexes, min_size=1, max_size=5),
        limit=limits,
        block=st.booleans(),
        is_async=forms,
    )
    def receive(self, number, indexes, limit, block, is_async):
        process = self.process(number)
        queues = self.queues(process)
        names = list(dict.fromkeys(queues[index % len(queues)] for index in indexes))
        wait = (True, 0.001) if block else ()
        if block:
            self.model.waited(names)
        if limit == 1:
            pair = self.call(process, is_async, "receive", names, *wait)
            pairs = [pair] if pair[0] is not None else []
        else:
            pairs = self.call(process, is_async, "receive_batch", names, limit, *wait)
        self.model.received(names, limit, pairs)
        self.at_hand[process] += pairs

    @rule(number=processes, count=limits, is_async=forms)
    def put_back(self, number, count, is_async):
        process = self.process(number)
        pairs, self.at_hand[process] = (
            self.at_hand[process][:count],
            self.at_hand[process][count:],
        )
        results = self.call(process, is_async, "put_back", pairs)
        assert results == [None] * len(pairs)
        self.model.put_back(pairs, process)

    @rule(number=processes, group=groups, index=indexes, is_async=forms)
    def join(self, number, group, index, is_async):
        channel = self.pick(index)
        self.call(self.process(number), is_async, "group_add", group, channel)
        self.model.joined(group, channel)

    @rule(number=processes, group=groups, index=indexes, is_async=forms)
    def leave(self, number, group, index, is_async):
        channel = self.pick(index)
        self.call(self.process(number), is_async, "group_discard", group, channel)
        self.model.left(group, channel)

    @rule(number=processes, group=groups, is_async=forms)
    def send_group(self, number, group, is_async):
        process, message = self.process(number), self.message()
        self.call(process, is_async, "send_group", group, message)
        self.model.sent_to_group(message["n"], group, process)

    @rule(seconds=st.sampled_from([1, 2, 3]))
    def pass_time(self, seconds):
        if self.under_test.pass_time:
            self.under_test.pass_time(seconds)
            self.model.pass_time(seconds)

    @rule(
        number=processes,
        what=st.sampled_from(["statistics", "close", "flush"]),
        index=indexes,
        is_async=forms,
    )
    def care(self, number, what, index, is_async):
        process = self.process(number)
        queues = self.queues(process)
        args = [queues[index % len(queues)]] if what == "statistics" else []
        result = self.call(process, is_async, what, *args)
        if what == "statistics":
            self.model.check_sum(args[0], result)
        elif what == "flush":
            self.model.flush(f"in{process}!")

    def drain(self):
        for process in range(len(self.layers)):
            queues = self.queues(process)
            while pairs := self.call(process, False, "receive_batch", queues, 5):
                self.model.received(queues, 5, pairs)
            self.model.received(queues, 5, [])
        for process in range(len(self.layers)):
            self.call(process, False, "statistics")
        for process in range(len(self.layers)):
            for queue in self.queues(process):
                statistics = self.call(process, False, "statistics", queue)
                assert statistics["messages_pending"] == 0
                # Of a single-reader channel, layers forget the counters early.
                if "?" not in queue:
                    self.model.check(queue, statistics)
            self.model.check(None, self.call(process, False, "statistics"))


@skipUnless(hypothesis, "hypothesis is not installed.")
class ModelTestCase(SimpleTestCase):
    def run_machine(self, make, examples, steps, shrinks=True):
        machine = type("Machine", (LayerMachine,), {"make": staticmethod(make)})
        profile = settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=True,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            phases=[Phase.generate, Phase.shrink] if shrinks else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(machine, settings=profile)


class ModelTests(ModelTestCase):
    def test_the_memory_layer_does_what_the_model_does(self):
        self.run_machine(MemoryUnderTest, examples=60, steps=30)

    def test_the_shared_layer_does_what_the_model_does(self):
        self.run_machine(DictUnderTest, examples=60, steps=30)

    def test_a_layer_that_does_otherwise_is_found(self):
        for layer_class in BAD_LAYERS:
            with self.subTest(layer_class=layer_class.__name__):
                with mock.patch.object(test_memory, "MemoryChannelLayer", layer_class):
                    with self.assertRaisesMessage(AssertionError, ""):
                        self.run_machine(MemoryUnderTest, 300, 30, shrinks=False)

    @tag("full")
    def test_the_memory_layer_does_so_for_long(self):
        self.run_machine(MemoryUnderTest, examples=1000, steps=50)

    @tag("full")
    def test_the_shared_layer_does_so_for_long(self):
        self.run_machine(DictUnderTest, examples=1000, steps=50)


class StoreModelTests(ModelTestCase):
    """The layers with stores, on which a test takes much longer."""

    examples = 12
    steps = 25

    def run_store(self, make_layer, make_place):
        make = partial(StoreUnderTest, make_layer, make_place)
        self.run_machine(make, self.examples, self.steps)

    def test_the_ipc_layer_does_what_the_model_does(self):
        require_lmdb()
        from django.channels.backends.ipc import IPCChannelLayer

        make_place = partial(tempfile.mkdtemp, dir=self.make_folder())
        self.run_store(IPCChannelLayer, make_place)

    def test_the_database_layer_does_what_the_model_does(self):
        folder = self.make_folder()
        self.run_store(
            lambda name, **options: DatabaseChannelLayer(
                path=Path(folder, name), **options
            ),
            services.unique_name,
        )

    def test_the_redis_layer_does_what_the_model_does(self):
        url = services.redis().socket_url
        from django.channels.backends.redis import RedisChannelLayer

        make_layer = partial(RedisChannelLayer, [url])
        self.run_store(make_layer, services.unique_name)

    def make_folder(self):
        memory = MEMORY if os.access(MEMORY, os.W_OK) else None
        folder = tempfile.TemporaryDirectory(dir=memory)
        self.addCleanup(folder.cleanup)
        return folder.name


@tag("full")
class LongStoreModelTests(StoreModelTests):
    examples = 300
    steps = 40
