import asyncio
import os
import threading
from unittest import mock

from django.channels import Channel, route
from django.channels.exceptions import LayerUnavailable
from django.channels.outbox import Outbox
from django.channels.signals import messages_dropped
from django.channels.worker import WorkerGroup
from django.channels.worker import outgoing as outgoing_module
from django.channels.worker import patience
from django.channels.worker import sender as sender_module
from django.channels.worker.journal import create_file
from django.channels.worker.outgoing import SLOTS, Outgoing
from django.channels.worker.sender import DirectSender, EagerSender, Sender
from django.test import SimpleTestCase

from .layers import make_layer
from .utils import TIMEOUT, patch_for


class SenderTests(SimpleTestCase):
    def setUp(self):
        self.layer = make_layer(capacity=2, channel_capacity={"wide*": 1000})
        self.sender = Sender()
        self.addCleanup(self.sender.stop, TIMEOUT)
        # Nothing is given up because a machine stands still for a while.
        patch_for(self, patience, "RETRY_SECONDS", 1000)

    def outbox(self, *names, to_group=False, **content):
        outbox = Outbox()
        for number, name in enumerate(names):
            outbox.add(self.layer, name, {"n": number, **content}, to_group)
        return outbox

    def received(self, name):
        return [message["n"] for _, message in self.layer.receive_batch([name], 1000)]

    def hold(self):
        """Have the sender wait in a call of the layer; return what lets it go on."""
        entered, go_on = threading.Event(), threading.Event()
        self.addCleanup(go_on.set)
        send_batch = self.layer.channel_layer.send_batch
        self.batches = []

        def hold(messages):
            entered.set()
            go_on.wait(TIMEOUT)
            self.batches.append(len(messages))
            return send_batch(messages)

        patch_for(self, self.layer.channel_layer, "send_batch", hold)
        self.sender.send(self.outbox("wide"))
        self.assertTrue(entered.wait(TIMEOUT))
        return go_on

    def test_what_several_consumers_sent_meanwhile_leaves_together(self):
        go_on = self.hold()
        for number in range(1, 50):
            self.sender.send(self.outbox("wide", n=number))
        go_on.set()
        self.assertIs(self.sender.stop(TIMEOUT), True)
        self.assertEqual(self.batches, [1, 49])
        self.assertEqual(self.received("wide"), [*range(50)])

    def sent_here(self):
        """Note in which thread each batch leaves; return the list."""
        send_batch = self.layer.channel_layer.send_batch
        threads = []

        def send(messages):
            threads.append(threading.current_thread())
            return send_batch(messages)

        patch_for(self, self.layer.channel_layer, "send_batch", send)
        return threads

    def test_a_worker_with_nothing_to_do_sends_at_once_and_itself(self):
        patch_for(self, sender_module, "LATE_SECONDS", 1000)
        threads = self.sent_here()
        self.sender.send(self.outbox("wide", "wide"))
        self.sender.take_turn()
        self.assertEqual(self.received("wide"), [0, 1])
        self.assertEqual(threads, [threading.current_thread()])
        self.sender.take_turn()
        self.assertEqual(len(threads), 1)

    def test_short_consumers_send_together(self):
        patch_for(self, sender_module, "LATE_SECONDS", 1000)
        patch_for(self, sender_module, "TOGETHER_SECONDS", 500)
        threads = self.sent_here()
        for number in range(3):
            self.sender.send(self.outbox("wide", n=number))
            self.sender.take_turn(next_seconds=0.0001)
        self.assertEqual(threads, [])
        patch_for(self, sender_module, "TOGETHER_SECONDS", 0)
        self.sender.take_turn(next_seconds=0)
        self.assertEqual(threads, [threading.current_thread()])
        self.assertEqual(self.received("wide"), [0, 1, 2])

    def test_nothing_waits_for_a_long_consumer(self):
        patch_for(self, sender_module, "LATE_SECONDS", 1000)
        self.sender.send(self.outbox("wide"))
        self.sender.take_turn(next_seconds=0.005)
        pair = self.layer.receive(["wide"], block=True, timeout=TIMEOUT)
        self.assertEqual(pair[1], {"n": 0})

    def test_what_no_worker_sends_is_sent_all_the_same(self):
        patch_for(self, sender_module, "TOGETHER_SECONDS", 500)
        for number in range(3):
            self.sender.send(self.outbox("wide", n=number))
            self.sender.take_turn(next_seconds=0.0001)
            pair = self.layer.receive(["wide"], block=True, timeout=TIMEOUT)
            self.assertEqual(pair[1], {"n": number})

    def test_a_full_channel_is_tried_again_by_the_thread(self):
        patch_for(self, sender_module, "LATE_SECONDS", 1000)
        self.sender.send(self.outbox(*["full"] * 3))
        self.sender.take_turn()
        self.assertEqual(self.received("full"), [0, 1])
        pair = self.layer.receive(["full"], block=True, timeout=TIMEOUT)
        self.assertEqual(pair[1], {"n": 2})

    def test_what_comes_while_a_worker_sends_is_sent_next(self):
        patch_for(self, sender_module, "LATE_SECONDS", 1000)
        send_batch, batches = self.layer.channel_layer.send_batch, []

        def send(messages):
            batches.append(len(messages))
            if len(batches) == 1:
                # As another worker does, which finds somebody at it.
                self.sender.send(self.outbox("wide", n=1))
                self.sender.take_turn()
            return send_batch(messages)

        patch_for(self, self.layer.channel_layer, "send_batch", send)
        self.sender.send(self.outbox("wide"))
        self.sender.take_turn()
        for number in range(2):
            pair = self.layer.receive(["wide"], block=True, timeout=TIMEOUT)
            self.assertEqual(pair[1], {"n": number})
        self.assertEqual(batches, [1, 1])

    def test_the_thread_sleeps_while_a_worker_waits_for_the_layer(self):
        seconds, looked = [], threading.Semaphore(0)
        wait = self.sender._changed.wait

        def note(timeout=None):
            if self.sender._is_busy:
                seconds.append(timeout)
                looked.release()
            return wait(timeout)

        entered, go_on = threading.Event(), threading.Event()

        def hold(messages):
            entered.set()
            go_on.wait(TIMEOUT)
            return [None] * len(messages)

        patch_for(self, sender_module, "LATE_SECONDS", 1000)
        patch_for(self, self.sender._changed, "wait", note)
        patch_for(self, self.layer.channel_layer, "send_batch", hold)
        self.sender.send(self.outbox("wide"))
        worker = threading.Thread(target=self.sender.take_turn)
        worker.start()
        self.addCleanup(worker.join)
        self.addCleanup(go_on.set)
        self.assertTrue(entered.wait(TIMEOUT))
        patch_for(self, sender_module, "LATE_SECONDS", 0.01)
        self.sender.send(self.outbox("wide"))
        with self.sender._changed:
            self.sender._changed.notify_all()
        for _ in range(3):
            self.assertTrue(looked.acquire(timeout=TIMEOUT))
        self.assertGreaterEqual(min(seconds), 0.01)

    def test_receivers_of_signals_leave_its_thread_no_connection(self):
        connections, closed = mock.Mock(), []
        connections.close_all = lambda: closed.append(threading.current_thread())
        patch_for(self, sender_module, "connections", connections)
        patch_for(
            self,
            self.layer.channel_layer,
            "send_batch",
            mock.Mock(side_effect=LayerUnavailable),
        )
        noted = []

        def note(**kwargs):
            noted.append(threading.current_thread())

        messages_dropped.connect(note)
        self.addCleanup(messages_dropped.disconnect, note)
        with self.assertLogs("django.channels.worker", "ERROR"):
            self.sender.send(self.outbox("wide"))
            self.assertIs(self.sender.stop(TIMEOUT), True)
        self.assertEqual(len(noted), 1)
        # One of an earlier test may end just now.
        self.assertEqual([thread for thread in closed if thread in noted], noted)

    def test_messages_to_groups_keep_their_place(self):
        for name in ("wide.a", "wide.b"):
            self.layer.group_add("g", name)
        outbox = self.outbox("wide.a")
        outbox.add(self.layer, "g", {"n": 1}, to_group=True)
        outbox.add(self.layer, "wide.a", {"n": 2})
        self.sender.send(outbox)
        self.assertIs(self.sender.stop(TIMEOUT), True)
        self.assertEqual(self.received("wide.a"), [0, 1, 2])
        self.assertEqual(self.received("wide.b"), [1])

    def test_a_full_channel_holds_up_no_other_and_keeps_its_order(self):
        self.sender.send(self.outbox(*["full"] * 4))
        self.sender.send(self.outbox("wide"))
        pair = self.layer.receive(["wide"], block=True, timeout=TIMEOUT)
        self.assertEqual(pair[1], {"n": 0})
        self.sender.send(self.outbox("full", n=4))
        numbers = [
            self.layer.receive(["full"], block=True, timeout=TIMEOUT)[1]["n"]
            for _ in range(5)
        ]
        self.assertEqual(numbers, [*range(5)])

    def test_what_stays_full_is_dropped_logged_and_signaled(self):
        patch_for(self, patience, "RETRY_SECONDS", 0)
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            self.sender.send(self.outbox(*["full"] * 3))
            self.assertIs(self.sender.stop(TIMEOUT), True)
        self.assertEqual(len(logs.output), 1)
        self.assertIn("Dropped 1 message(s) of a consumer to full", logs.output[0])
        self.assertEqual(self.received("full"), [0, 1])

    def test_stopping_does_not_wait_for_room(self):
        self.sender.send(self.outbox(*["full"] * 3))
        with self.assertLogs("django.channels.worker", "ERROR"):
            self.assertIs(self.sender.stop(TIMEOUT), True)

    def test_stopping_does_not_wait_for_a_delay(self):
        self.sender.send(self.outbox("wide"), delay=1000)
        self.assertIs(self.sender.stop(TIMEOUT), True)
        self.assertEqual(self.received("wide"), [0])

    def test_a_delay_holds_up_nothing_else(self):
        self.sender.send(self.outbox("wide"), delay=1000)
        self.sender.send(self.outbox("other"))
        pair = self.layer.receive(["other"], block=True, timeout=TIMEOUT)
        self.assertEqual(pair, ("other", {"n": 0}))
        self.assertEqual(self.received("wide"), [])

    def test_a_layer_that_fails_costs_its_messages_only(self):
        away = LayerUnavailable("gone")
        with mock.patch.object(
            self.layer.channel_layer, "send_batch", side_effect=away
        ):
            with self.assertLogs("django.channels.worker", "ERROR") as logs:
                self.sender.send(self.outbox("wide"))
                self.assertIs(self.sender.stop(TIMEOUT), True)
        self.assertIn("to wide on layer default", logs.output[0])
        self.sender.send(self.outbox("wide", n=1))
        self.assertIs(self.sender.stop(TIMEOUT), True)
        self.assertEqual(self.received("wide"), [1])

    def test_a_consumer_waits_while_too_much_waits_to_be_sent(self):
        patch_for(self, sender_module, "WAITING_MESSAGES", 3)
        go_on = self.hold()
        self.sender.send(self.outbox(*["wide"] * 3))
        sent = threading.Event()

        def send():
            self.sender.send(self.outbox("wide"))
            sent.set()

        thread = threading.Thread(target=send)
        thread.start()
        self.assertFalse(sent.wait(0.05))
        go_on.set()
        self.assertTrue(sent.wait(TIMEOUT))
        thread.join()

    def test_stopping_gives_up_in_time(self):
        go_on = self.hold()
        thread = self.sender._thread
        self.assertIs(self.sender.stop(0.01), False)
        go_on.set()
        thread.join(TIMEOUT)

    async def test_a_coroutine_goes_on_when_its_messages_have_left(self):
        go_on = self.hold()
        task = asyncio.ensure_future(self.sender.asend(self.outbox("wide", n=1)))
        await asyncio.sleep(0.01)
        self.assertIs(task.done(), False)
        go_on.set()
        await asyncio.wait_for(task, TIMEOUT)
        self.assertEqual(self.received("wide"), [0, 1])


class OutgoingTests(SimpleTestCase):
    """What a supervisor finds of a process that died."""

    def setUp(self):
        self.layer = make_layer()
        file = create_file()
        self.outgoing = Outgoing(file)
        self.other = Outgoing(os.dup(file))
        self.addCleanup(self.outgoing.close)
        self.addCleanup(self.other.close)

    def sends(self, *numbers):
        return [(self.layer, "a", {"n": number}, False) for number in numbers]

    def found(self):
        return [message["n"] for _, _, message, _ in self.other.rest()]

    def test_it_is_found_in_its_order_until_it_leaves(self):
        self.assertEqual(self.other.rest(), [])
        tickets = [self.outgoing.keep(self.sends(n, n + 1)) for n in (0, 2, 4)]
        self.assertEqual(self.other.rest()[1], ("default", "a", {"n": 1}, False))
        self.assertEqual(self.found(), [*range(6)])
        self.outgoing.forget(tickets[1])
        tickets[1] = self.outgoing.keep(self.sends(6))
        self.assertEqual(self.found(), [0, 1, 4, 5, 6])
        for ticket in tickets:
            self.outgoing.forget(ticket)
        self.assertEqual(self.found(), [])

    def test_what_finds_no_room_is_not_kept(self):
        patch_for(self, outgoing_module, "BYTES", 1000)
        large = [(self.layer, "a", {"b": b"x" * 1000}, False)]
        self.assertIsNone(self.outgoing.keep(large))
        tickets = []
        while (ticket := self.outgoing.keep(self.sends(1))) is not None:
            tickets.append(ticket)
        self.assertEqual(len(self.found()), len(tickets))
        for ticket in tickets:
            self.outgoing.forget(ticket)
        self.assertIsNotNone(self.outgoing.keep(self.sends(2)))
        self.assertEqual(self.found(), [2])

    def test_no_more_is_kept_than_there_are_slots(self):
        for number in range(SLOTS):
            self.assertIsNotNone(self.outgoing.keep(self.sends(number)))
        self.assertIsNone(self.outgoing.keep(self.sends(SLOTS)))
        self.assertEqual(self.found(), [*range(SLOTS)])

    def test_a_layer_without_an_alias_is_nothing_for_others(self):
        sends = [(self.layer.channel_layer, "a", {}, False)]
        self.assertIsNone(self.outgoing.keep(sends))

    def test_a_sender_keeps_what_it_has_not_begun_to_send(self):
        entered, go_on = threading.Event(), threading.Event()
        self.addCleanup(go_on.set)
        send_batch = self.layer.channel_layer.send_batch

        def hold(messages):
            entered.set()
            go_on.wait(TIMEOUT)
            return send_batch(messages)

        patch_for(self, self.layer.channel_layer, "send_batch", hold)
        sender = Sender(self.outgoing)
        for numbers in (0,), (1, 2), (3,):
            outbox = Outbox()
            for number in numbers:
                outbox.add(self.layer, "a", {"n": number})
            sender.send(outbox, delay=1000 if 3 in numbers else 0)
            self.assertTrue(entered.wait(TIMEOUT))
        # What is on its way may arrive.
        self.assertEqual(self.found(), [1, 2, 3])
        go_on.set()
        self.assertIs(sender.stop(TIMEOUT), True)
        self.assertEqual(self.found(), [])
        pairs = self.layer.receive_batch(["a"], 10)
        self.assertEqual(sorted(message["n"] for _, message in pairs), [0, 1, 2, 3])


class EagerSenderTests(SimpleTestCase):
    def test_a_consumer_has_sent_when_it_is_finished(self):
        patch_for(self, sender_module, "LATE_SECONDS", 1000)
        layer, outbox, sender = make_layer(), Outbox(), EagerSender()
        self.addCleanup(sender.stop, TIMEOUT)
        outbox.add(layer, "a", {"n": 1})
        sender.send(outbox)
        self.assertEqual(layer.receive(["a"]), ("a", {"n": 1}))

    def test_one_thread_consumes_more_than_its_consumer_found_room_for(self):
        def fan(message):
            for number in range(25):
                Channel("work", channel_layer=layer).send({"n": number})

        def work(message):
            done.append(message["n"])
            if len(done) == 25:
                is_done.set()

        patch_for(self, patience, "RETRY_SECONDS", 1000)
        done, is_done = [], threading.Event()
        layer = make_layer([route("fan", fan), route("work", work)], capacity=10)
        group = WorkerGroup(layer)
        group.start()
        self.addCleanup(group.stop, TIMEOUT)
        layer.send("fan", {})
        self.assertTrue(is_done.wait(TIMEOUT))
        self.assertEqual(done, [*range(25)])


class DirectSenderTests(SimpleTestCase):
    async def test_both_forms_send_at_once(self):
        layer = make_layer()
        for number, send in enumerate((self.send, DirectSender().asend)):
            outbox = Outbox()
            outbox.add(layer, "a", {"n": number})
            await send(outbox)
            self.assertEqual(layer.receive(["a"]), ("a", {"n": number}))

    async def send(self, outbox):
        DirectSender().send(outbox)
