"""The layer around a store, on a store in dicts."""

import asyncio
import threading
from unittest import mock

from django.channels.backends.shared import keeper
from django.channels.backends.shared.envelopes import (
    ADD,
    DISCARD,
    FLUSH,
    GROUP,
    MESSAGE,
    Codec,
)
from django.channels.exceptions import (
    ChannelFull,
    MessageTooLarge,
)
from django.test import SimpleTestCase
from django.test.channel_layers import ChannelLayerConformanceTests, cites

from .dict_store import DictChannelLayer, World
from .shared_layers import WAIT, SharedLayerTestCase
from .utils import TIMEOUT, patch_for


class DictLayerTests(ChannelLayerConformanceTests, SimpleTestCase):
    layer_class = DictChannelLayer


class ProcessTests(SharedLayerTestCase):
    """What one process does, another one sees."""

    def test_a_message_wakes_a_reader_elsewhere(self):
        a, b = self.make_layer(), self.make_layer()
        for name, key in (("normal", "normal"), ("one?x", "one?x"), ("in!x", "in!")):
            with self.subTest(name=name):
                result = self.in_thread(b.receive, [key], **WAIT)
                self.until_waiting(b, key)
                a.send(name, {"n": 1})
                self.assertEqual(result(), (name, {"n": 1}))

    def test_a_message_wakes_a_task_elsewhere(self):
        a, b = self.make_layer(), self.make_layer()

        async def main():
            waiting = asyncio.create_task(b.areceive(["normal"], **WAIT))
            await asyncio.to_thread(self.until_waiting, b, "normal")
            await a.asend("normal", {"n": 1})
            return await waiting

        self.assertEqual(asyncio.run(main()), ("normal", {"n": 1}))

    def test_threads_and_tasks_wait_beside_each_other(self):
        a, b = self.make_layer(), self.make_layer()
        results = [self.in_thread(b.receive, ["work"], **WAIT) for _ in range(3)]

        async def main():
            tasks = [
                asyncio.create_task(b.areceive(["work"], **WAIT)) for _ in range(3)
            ]
            await asyncio.to_thread(self.until_waiting, b, "work", 6)
            for n in range(6):
                await a.asend("work", {"n": n})
            return await asyncio.gather(*tasks)

        pairs = asyncio.run(main()) + [result() for result in results]
        self.assertEqual(sorted(m["n"] for _, m in pairs), list(range(6)))

    def test_the_next_reader_listens_when_the_first_one_leaves(self):
        a, b = self.make_layer(), self.make_layer()
        first = self.in_thread(b.receive, ["one"], **WAIT)
        self.until_waiting(b, "one")
        second = self.in_thread(b.receive, ["two"], **WAIT)
        self.until_waiting(b, "two")
        a.send("one", {})
        self.assertEqual(first(), ("one", {}))
        a.send("two", {})
        self.assertEqual(second(), ("two", {}))

    def test_one_message_to_a_group_is_one_entry_for_all_members_of_a_process(self):
        a, b = self.make_layer(), self.make_layer()
        names = [b.new_channel("in!") for _ in range(50)]
        for name in names:
            b.group_add("group", name)
        b.receive(["in!"])
        a.send_group("group", {"n": 1})
        self.assertEqual(len(self.world.queues["in!"].entries), 1)
        pairs = b.receive_batch(["in!"], 100)
        self.assertEqual(pairs, [(name, {"n": 1}) for name in names])

    def test_a_member_that_another_process_added_is_reached(self):
        a, b = self.make_layer(), self.make_layer()
        name = b.new_channel("in!")
        a.group_add("group", name)
        a.send_group("group", {"n": 1})
        a.group_discard("group", name)
        a.send_group("group", {"n": 2})
        self.assertEqual(b.receive_batch(["in!"], 10), [(name, {"n": 1})])
        self.assertEqual(self.world.inboxes, {})

    def test_a_message_before_the_membership_is_not_received(self):
        a, b = self.make_layer(), self.make_layer()
        first, second = b.new_channel("in!"), b.new_channel("in!")
        b.group_add("group", first)
        a.send_group("group", {"n": 1})
        b.group_add("group", second)
        a.send_group("group", {"n": 2})
        pairs = b.receive_batch(["in!"], 10)
        self.assertEqual(
            pairs, [(first, {"n": 1}), (first, {"n": 2}), (second, {"n": 2})]
        )

    def test_the_last_member_leaves_while_another_joins(self):
        # The owner learns of the leaving after the store has counted the joining:
        # it must not end the registration.
        a, b = self.make_layer(), self.make_layer()
        leaving, joining = b.new_channel("in!"), b.new_channel("in!")
        b.group_add("group", leaving)
        b.receive(["in!"])
        a.group_add("group", joining)
        b.close_channel(leaving)
        a.send_group("group", {"n": 1})
        self.assertEqual(b.receive(["in!"]), (joining, {"n": 1}))

    def test_what_closing_a_channel_fetches_wakes_the_reader_of_the_others(self):
        # Where the store waits for the entries themselves, fetching them leaves
        # nothing that would ring for the reader.
        a, b = self.make_layer(), self.make_layer()
        closing, other = b.new_channel("in!"), b.new_channel("in!")
        receiving = self.in_thread(b.receive, ["in!"], block=True)
        self.until_waiting(b, "in!")
        with mock.patch.object(a._store, "_ring"):
            a.send(other, {"n": 1})
        b.close_channel(closing)
        self.assertEqual(receiving(), (other, {"n": 1}))

    def test_a_closed_channel_leaves_nothing_in_the_store(self):
        a, b = self.make_layer(), self.make_layer()
        names = [b.new_channel("in!") for _ in range(3)]
        for name in names:
            a.group_add("group", name)
        for name in names:
            b.close_channel(name)
        self.assertEqual(self.world.inboxes, {})

    def test_what_a_process_has_not_room_for_is_counted_for_each_member(self):
        a, b = self.make_layer(capacity=1), self.make_layer(capacity=1)
        for _ in range(3):
            b.group_add("group", b.new_channel("in!"))
        b.receive(["in!"])
        for n in range(4):
            a.send_group("group", {"n": n})
        self.assertEqual(len(b.receive_batch(["in!"], 10)), 3)
        b.statistics()
        statistics = a.statistics("in!")
        self.assertEqual(statistics["messages_count"], 12)
        self.assertEqual(statistics["delivered_count"], 3)
        self.assertEqual(statistics["dropped_count"], 9)

    def test_counters_have_what_another_thread_is_about_to_correct(self):
        layer = self.make_layer()
        for _ in range(3):
            layer.group_add("group", layer.new_channel("in!"))
        store = layer._store
        count, statistics = store.count, store.statistics
        corrects, looked = threading.Event(), threading.Event()

        def count_late(changes):
            corrects.set()
            # It is too early for that.
            looked.wait(0.1)
            count(changes)

        def look(queue):
            looked.set()
            return statistics(queue)

        with mock.patch.multiple(store, count=count_late, statistics=look):
            layer.send_group("group", {})
            self.assertEqual(len(layer.receive_batch(["in!"], 10)), 3)
            # As the keeper does it.
            pushed = self.in_thread(layer._owner.push_changes)
            corrects.wait(TIMEOUT)
            self.assertEqual(layer.statistics("in!")["messages_count"], 3)
        pushed()

    def test_flushing_reaches_the_groups_of_other_processes(self):
        a, b = self.make_layer(), self.make_layer()
        old, new = b.new_channel("in!"), b.new_channel("in!")
        b.group_add("group", old)
        b.receive(["in!"])
        a.flush()
        b.group_add("group", new)
        a.send_group("group", {"n": 1})
        self.assertEqual(b.receive_batch(["in!"], 10), [(new, {"n": 1})])


class CancellationTests(SharedLayerTestCase):
    def test_a_cancelled_receive_loses_nothing_wherever_it_is(self):
        # Cancel after each number of turns of the loop, until it comes through.
        for name, key in (("normal", "normal"), ("in!x", "in!")):
            for turns in range(12):
                # What was cancelled before may still take something.
                self.world = World()
                layer = self.make_layer()

                async def main():
                    layer.send(name, {"n": 1})
                    task = asyncio.create_task(layer.areceive([key], **WAIT))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    task.cancel()
                    try:
                        return await task
                    except asyncio.CancelledError:
                        return None

                received = asyncio.run(main())
                if received is None:
                    received = layer.receive([key], **WAIT)
                with self.subTest(name=name, turns=turns):
                    self.assertEqual(received, (name, {"n": 1}))
                    self.assertEqual(layer.receive([key]), (None, None))


class CourierTests(SharedLayerTestCase):
    def test_what_tasks_send_meanwhile_goes_out_as_one(self):
        layer = self.make_layer(capacity=5)
        busy, go_on = threading.Event(), threading.Event()
        append = mock.Mock(side_effect=layer._store.append)
        layer._store.append = append

        def work():
            busy.set()
            go_on.wait(TIMEOUT)

        async def main():
            first = asyncio.create_task(layer._courier.call(work))
            await asyncio.to_thread(busy.wait, TIMEOUT)
            sends = [
                asyncio.create_task(layer.asend("a" if n % 2 else "b", {"n": n}))
                for n in range(12)
            ]
            await asyncio.sleep(0)
            go_on.set()
            await first
            return await asyncio.gather(*sends, return_exceptions=True)

        results = asyncio.run(main())
        self.assertEqual(append.call_count, 1)
        self.assertEqual(results[:10], [None] * 10)
        for result in results[10:]:
            self.assertIsInstance(result, ChannelFull)
        for name, numbers in (("a", [1, 3, 5, 7, 9]), ("b", [0, 2, 4, 6, 8])):
            pairs = layer.receive_batch([name], 10)
            self.assertEqual([message["n"] for _, message in pairs], numbers)

    def test_names_are_closed_with_one_look_at_the_store(self):
        layer = self.make_layer()
        names = [layer.new_channel("in!") for _ in range(20)]
        layer.send_batch([(name, {}) for name in names])
        take = mock.Mock(side_effect=layer._store.take)
        go_on = threading.Event()

        async def main():
            busy = asyncio.create_task(layer._courier.call(go_on.wait, TIMEOUT))
            closings = [
                asyncio.create_task(layer.aclose_channel(name)) for name in names[1:]
            ]
            while len(layer._owner.find("in!").closing) < len(closings):
                await asyncio.sleep(0)
            go_on.set()
            await asyncio.gather(busy, *closings)

        with mock.patch.object(layer._store, "take", take):
            asyncio.run(main())
        self.assertEqual(take.call_count, 1)
        self.assertEqual(layer.receive_batch(["in!"], 20), [(names[0], {})])

    def test_a_name_is_closed_without_the_store_while_its_inbox_is_read(self):
        layer = self.make_layer()
        closing, other = layer.new_channel("in!"), layer.new_channel("in!")
        receiving = self.in_thread(layer.receive, ["in!"], block=True)
        self.until_waiting(layer, "in!")
        with mock.patch.object(layer._store, "take") as take:
            layer.close_channel(closing)
            take.assert_not_called()
        layer.send_batch([(closing, {"n": 1}), (other, {"n": 2})])
        self.assertEqual(receiving(), (other, {"n": 2}))

    def test_a_loop_closes_names_of_an_inbox_that_is_read_itself(self):
        # No keeper has the inbox just then.
        patch_for(self, keeper, "RENEWAL_SECONDS", 2 * TIMEOUT)
        layer = self.make_layer()
        closing, member = layer.new_channel("in!"), layer.new_channel("in!")
        layer.group_add("group", member)
        self.assertEqual(layer.receive_batch(["in!"], 1), [])
        receiving = self.in_thread(layer.receive, ["in!"], block=True)
        self.until_waiting(layer, "in!")
        with mock.patch.object(layer._courier, "call") as call:
            asyncio.run(layer.aclose_channel(closing))
            call.assert_not_called()
        # What a group has of it is taken from the store, too.
        asyncio.run(layer.aclose_channel(member))
        self.assertEqual(layer.groups(), {})
        other = layer.new_channel("in!")
        layer.send_batch([(closing, {"n": 1}), (other, {"n": 2})])
        self.assertEqual(receiving(), (other, {"n": 2}))

    def test_a_name_is_closed_although_who_closes_it_is_cancelled(self):
        layer = self.make_layer()
        closing, other = layer.new_channel("in!"), layer.new_channel("in!")
        layer.group_add("group", closing)
        layer.send_batch([(closing, {"n": 1}), (other, {"n": 2})])

        async def main():
            task = asyncio.create_task(layer.aclose_channel(closing))
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            # Comes to the courier behind it.
            return await layer.agroups()

        self.assertEqual(asyncio.run(main()), {})
        self.assertEqual(layer.receive_batch(["in!"], 9), [(other, {"n": 2})])

    def test_a_call_that_nobody_waits_for_is_left_out(self):
        layer = self.make_layer()
        take = mock.Mock(return_value=[])

        async def main():
            busy, go_on = threading.Event(), threading.Event()
            first = asyncio.create_task(
                layer._courier.call(lambda: busy.set() or go_on.wait(TIMEOUT))
            )
            await asyncio.to_thread(busy.wait, TIMEOUT)
            second = asyncio.create_task(layer._courier.call(take, undo=mock.Mock()))
            await asyncio.sleep(0)
            second.cancel()
            await asyncio.wait([second])
            go_on.set()
            await first
            await layer._courier.call(len, [])

        asyncio.run(main())
        self.assertEqual(take.call_count, 0)


class ForeignEntryTests(SharedLayerTestCase):
    """Something else than this layer has written to the store."""

    def setUp(self):
        super().setUp()
        self.layer = self.make_layer()

    def append(self, queue, *contents):
        payloads = [Codec().encode(*content) for content in contents]
        self.layer._store.append([(queue, 100, payloads)])

    def test_a_foreign_entry_is_dropped_counted_and_reported_once(self):
        for name, key in (("normal", "normal"), ("in!x", "in!")):
            self.layer._reader._reported = False
            bad = [b"", b"\x80\x04N.", b"\xff" * 50]
            self.layer._store.append([(key, 100, bad)])
            self.layer.send(name, {"n": 1})
            with self.subTest(name=name):
                with self.assertLogs("django.channels", "ERROR") as logs:
                    self.assertEqual(self.layer.receive([key]), (name, {"n": 1}))
                self.assertEqual(len(logs.records), 1)
                statistics = self.layer.statistics(key)
                self.assertEqual(statistics["dropped_count"], 3)
                self.assertEqual(statistics["delivered_count"], 1)
                self.assertEqual(statistics["messages_count"], 4)

    @cites("EN-4", "must be in inboxes only")
    def test_what_changes_groups_is_refused_in_other_queues(self):
        control = {"channel": "in!x"}
        for name in ("plain", "one?x"):
            for content in (
                (ADD, "group", control),
                (DISCARD, "group", control),
                (FLUSH, "", {}),
                (MESSAGE, "in!x", {"wrong": 1}),
                (MESSAGE, "other", {"wrong": 1}),
            ):
                with self.subTest(name=name, content=content):
                    self.layer._reader._reported = False
                    self.append(name, content, (MESSAGE, "", {"n": 1}))
                    with self.assertLogs("django.channels", "ERROR"):
                        received = self.layer.receive([name])
                    self.assertEqual(received, (name, {"n": 1}))

    @cites("EN-4", "is one of that inbox, and so is the target of a message")
    def test_what_is_for_another_inbox_is_refused(self):
        channel = self.layer.new_channel("in!")
        for content in (
            (MESSAGE, "other!x", {"wrong": 1}),
            (MESSAGE, "", {"wrong": 1}),
            (MESSAGE, "plain", {"wrong": 1}),
            (MESSAGE, "one?x", {"wrong": 1}),
            (ADD, "group", {"channel": "other!x"}),
            (DISCARD, "group", {"channel": "other!x"}),
        ):
            with self.subTest(content=content):
                self.layer._reader._reported = False
                self.append("in!", content, (GROUP, "group", {"wrong": 2}))
                self.append("in!", (MESSAGE, channel, {"n": 1}))
                with self.assertLogs("django.channels", "ERROR"):
                    received = self.layer.receive(["in!"])
                self.assertEqual(received, (channel, {"n": 1}))

    def test_a_group_message_on_a_plain_channel_is_received(self):
        self.append("normal", (GROUP, "group", {"n": 1}))
        self.assertEqual(self.layer.receive(["normal"]), ("normal", {"n": 1}))


class SizeTests(SharedLayerTestCase):
    def test_a_message_whose_envelope_is_too_long_is_too_large(self):
        # Empty strings have no size, and yet take bytes.
        layer = self.make_layer()
        layer._codec = Codec(limit=100)
        messages = [("a", {"n": 1}), ("a", {"n": [""] * 3000}), ("a", {"n": 2})]
        results = layer.send_batch(messages)
        self.assertIsInstance(results[1], MessageTooLarge)
        self.assertEqual(results[::2], [None, None])
        self.assertEqual(layer.receive_batch(["a"], 3), messages[::2])


class ClosingTests(SharedLayerTestCase):
    def test_a_closed_name_keeps_no_room_while_others_wait_here(self):
        layer = self.make_layer(capacity=3)
        stays, goes, last = (layer.new_channel("in!") for _ in range(3))
        layer.send(stays, {"n": 1})
        layer.close_channel(last)
        for n in range(3):
            layer.send(goes, {"n": n})
        layer.close_channel(goes)
        layer.send(stays, {"n": 2})
        pairs = [layer.receive(["in!"]) for _ in range(3)]
        self.assertEqual(pairs, [(stays, {"n": 1}), (stays, {"n": 2}), (None, None)])
