import time
from contextvars import copy_context
from unittest import mock

from django.channels import Channel, Group
from django.channels import outbox as outbox_module
from django.channels.exceptions import (
    ChannelFull,
    LayerUnavailable,
    MessageTooLarge,
)
from django.channels.outbox import Outbox
from django.channels.signals import messages_dropped
from django.db import transaction
from django.test import SimpleTestCase, TransactionTestCase

from .layers import make_layer
from .utils import patch_for


class ChannelTests(SimpleTestCase):
    def setUp(self):
        self.layer = make_layer(capacity=2)
        self.channel = Channel("a", channel_layer=self.layer)
        self.group = Group("g", channel_layer=self.layer)

    def test_outside_of_a_consumer_sends_leave_at_once(self):
        self.channel.send({"x": 1})
        self.assertEqual(self.layer.receive(["a"]), ("a", {"x": 1}))

    def test_a_full_channel_raises(self):
        self.channel.send({})
        self.channel.send({})
        with self.assertRaises(ChannelFull):
            self.channel.send({})

    def test_only_dicts_can_be_sent(self):
        msg = "You can only send dicts, not ['x'] of type list."
        for destination in (self.channel, self.group):
            with self.assertRaisesMessage(TypeError, msg):
                destination.send(["x"])

    def test_a_name_can_be_bytes(self):
        self.assertEqual(str(Channel(b"abc", channel_layer=self.layer)), "abc")

    def test_a_bad_name_is_refused(self):
        with self.assertRaisesMessage(TypeError, "'a b' is not a valid channel name"):
            Channel("a b", channel_layer=self.layer)
        with self.assertRaisesMessage(TypeError, "'a?b' is not a valid group name"):
            Group("a?b", channel_layer=self.layer)
        with self.assertRaisesMessage(TypeError, "'Ã¤' is not a valid channel name"):
            Channel("ä".encode(), channel_layer=self.layer)

    def test_a_group_sends_to_its_members(self):
        self.group.add(self.channel)
        self.group.add("b")
        self.group.discard("c")
        self.group.send({"x": 1})
        self.assertEqual(self.layer.receive(["a"]), ("a", {"x": 1}))
        self.assertEqual(self.layer.receive(["b"]), ("b", {"x": 1}))
        self.group.discard(self.channel)
        self.group.send({"x": 2})
        self.assertEqual(self.layer.receive(["a"]), (None, None))

    async def test_the_async_forms_do_the_same(self):
        await self.group.aadd(self.channel)
        await self.group.asend({"x": 1})
        await self.channel.asend({"x": 2})
        await self.group.adiscard(self.channel)
        await self.group.asend({"x": 3})
        self.assertEqual(await self.layer.areceive(["a"]), ("a", {"x": 1}))
        self.assertEqual(await self.layer.areceive(["a"]), ("a", {"x": 2}))
        self.assertEqual(await self.layer.areceive(["a"]), (None, None))


class OutboxTests(SimpleTestCase):
    def setUp(self):
        self.layer = make_layer(capacity=3)
        self.channel = Channel("a", channel_layer=self.layer)
        self.group = Group("g", channel_layer=self.layer)
        self.group.add(self.channel)
        self.outbox = Outbox()

    def received(self, channel="a"):
        found = []
        while (message := self.layer.receive([channel])[1]) is not None:
            found.append(message["n"])
        return found

    def patch_sleep(self, sleep):
        """Have flush() try again for as long as it takes, and call this between."""
        patch_for(self, outbox_module, "RETRY_SECONDS", 1000)
        patch_for(self, outbox_module, "time", mock.Mock(wraps=time, sleep=sleep))

    def test_sends_are_held_until_the_flush(self):
        with self.outbox.collecting():
            self.channel.send({"n": 1})
        self.assertEqual(self.received(), [])
        self.outbox.flush()
        self.assertEqual(self.received(), [1])

    def test_an_outbox_that_is_not_flushed_sends_nothing(self):
        with self.assertRaisesMessage(ValueError, "no"):
            with self.outbox.collecting():
                self.channel.send({"n": 1})
                raise ValueError("no")
        self.channel.send({"n": 2})
        self.assertEqual(self.received(), [2])

    def test_immediate_sends_are_not_held(self):
        with self.outbox.collecting():
            self.channel.send({"n": 1}, immediately=True)
            self.group.send({"n": 2}, immediately=True)
            self.assertEqual(self.received(), [1, 2])

    async def test_async_sends_are_held_as_well(self):
        with self.outbox.collecting():
            await self.channel.asend({"n": 1})
            await self.group.asend({"n": 2})
        self.assertEqual(self.received(), [])
        self.outbox.flush()
        self.assertEqual(self.received(), [1, 2])

    def test_the_order_of_sends_is_kept_across_groups(self):
        with self.outbox.collecting():
            self.channel.send({"n": 1})
            self.group.send({"n": 2})
            self.channel.send({"n": 3})
        self.outbox.flush()
        self.assertEqual(self.received(), [1, 2, 3])

    def test_two_layers_are_kept_apart(self):
        other = make_layer()
        with self.outbox.collecting():
            self.channel.send({"n": 1})
            Channel("a", channel_layer=other).send({"n": 2})
            self.channel.send({"n": 3})
        self.outbox.flush()
        self.assertEqual(self.received(), [1, 3])
        self.assertEqual(other.receive(["a"]), ("a", {"n": 2}))

    def test_later_changes_are_not_seen(self):
        content = {"n": 1, "list": [1]}
        with self.outbox.collecting():
            self.channel.send(content)
            content["list"].append(2)
        self.outbox.flush()
        self.assertEqual(self.layer.receive(["a"]), ("a", {"n": 1, "list": [1]}))

    def test_bad_values_are_refused_where_they_are_sent(self):
        with self.outbox.collecting():
            with self.assertRaisesMessage(TypeError, "message['x']"):
                self.channel.send({"x": object()})
            with self.assertRaises(MessageTooLarge):
                self.group.send({"x": "x" * (self.layer.max_message_size + 1)})
        self.outbox.flush()
        self.assertEqual(self.received(), [])

    def test_a_full_channel_is_tried_again_in_order(self):
        with self.outbox.collecting():
            for number in range(5):
                self.channel.send({"n": number})
        found = []
        self.patch_sleep(lambda seconds: found.extend(self.received()))
        self.outbox.flush()
        self.assertEqual(found + self.received(), [0, 1, 2, 3, 4])

    def test_pauses_between_tries_grow_longer(self):
        with self.outbox.collecting():
            for number in range(5):
                self.channel.send({"n": number})
        pauses = []

        def sleep(seconds):
            pauses.append(seconds)
            if len(pauses) == 6:
                self.received()

        self.patch_sleep(sleep)
        self.outbox.flush()
        self.assertEqual(pauses, [0.002, 0.004, 0.008, 0.016, 0.02, 0.02])

    def test_messages_for_a_channel_that_stays_full_are_logged(self):
        patch_for(self, outbox_module, "RETRY_SECONDS", 0)
        with self.outbox.collecting():
            for number in range(5):
                self.channel.send({"n": number})
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            self.outbox.flush()
        self.assertIn("Dropped 2 message(s) of a consumer: a on layer", logs.output[0])
        self.assertEqual(self.received(), [0, 1, 2])

    def test_what_the_layer_refuses_for_another_reason_is_logged(self):
        refusal = [MessageTooLarge("It has 3 bytes."), None]
        layer = mock.Mock(send_batch=mock.Mock(return_value=refusal))
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            outbox_module.send_patiently(layer, [("a", {}), ("b", {})])
        self.assertIn("Dropped a message to a: It has 3 bytes.", logs.output[0])
        layer.send_batch.assert_called_once()


class DropTests(SimpleTestCase):
    """A failing flush is logged and signaled, and what else it can is sent."""

    def setUp(self):
        self.layer, self.other = make_layer(capacity=1), make_layer()
        self.dropped = []
        messages_dropped.connect(self.note)
        self.addCleanup(messages_dropped.disconnect, self.note)
        patch_for(self, outbox_module, "RETRY_SECONDS", 0)

    def note(self, sender, channel_layer, names, **kwargs):
        self.dropped.append((sender, channel_layer, names))

    def flush(self):
        """Flush an outbox with sends to two channels, a group and another layer."""
        outbox = Outbox()
        with outbox.collecting():
            Channel("a", channel_layer=self.layer).send({})
            Group("g", channel_layer=self.layer).send({})
            Channel("b", channel_layer=self.layer).send({})
            Channel("c", channel_layer=self.other).send({})
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            outbox.flush()
        return logs.output

    def test_a_full_channel_keeps_no_other_from_its_messages(self):
        self.layer.send("a", {})
        self.flush()
        self.assertEqual(self.dropped, [(Outbox, self.layer, ["a"])])
        self.assertEqual(self.layer.receive(["b"]), ("b", {}))
        self.assertEqual(self.other.receive(["c"]), ("c", {}))

    def test_a_fault_of_a_layer_concerns_no_other(self):
        error = LayerUnavailable("gone")
        with mock.patch.multiple(
            self.layer.channel_layer,
            send_batch=mock.Mock(side_effect=error),
            send_group=mock.Mock(side_effect=error),
        ):
            output = self.flush()
        self.assertEqual([names for *_, names in self.dropped], [["a"], ["g"], ["b"]])
        self.assertEqual(self.other.receive(["c"]), ("c", {}))
        self.assertIn("Dropped 1 message(s) of a consumer to a on layer", output[0])
        self.assertNotIn("Traceback", "".join(output))

    def test_a_receiver_that_fails_ends_no_flush(self):
        def failing(**kwargs):
            raise ValueError

        messages_dropped.connect(failing)
        self.addCleanup(messages_dropped.disconnect, failing)
        self.layer.send("a", {})
        with self.assertLogs("django.dispatch", "ERROR"):
            self.flush()
        self.assertEqual(self.layer.receive(["b"]), ("b", {}))


class OutlivingTests(SimpleTestCase):
    def test_what_outlives_its_consumer_sends_at_once(self):
        layer = make_layer()
        outbox = Outbox()
        with outbox.collecting():
            context = copy_context()
        context.run(Channel("a", channel_layer=layer).send, {"n": 1})
        self.assertEqual(layer.receive(["a"]), ("a", {"n": 1}))
        self.assertEqual(outbox.take(), [])


class OnCommitTests(TransactionTestCase):
    available_apps = []
    databases = {"default", "other"}

    def setUp(self):
        self.layer = make_layer(capacity=2)
        self.channel = Channel("a", channel_layer=self.layer)
        self.outbox = Outbox()

    def received(self):
        return self.layer.receive(["a"])[1]

    def test_a_message_leaves_with_the_commit(self):
        content = {"n": [1]}
        with transaction.atomic():
            self.channel.send(content, on_commit=True)
            content["n"].append(2)
            self.assertIsNone(self.received())
        self.assertEqual(self.received(), {"n": [1]})

    def test_a_message_goes_with_what_is_rolled_back(self):
        with transaction.atomic():
            with self.assertRaisesMessage(ValueError, "no"), transaction.atomic():
                self.channel.send({"n": 1}, on_commit=True)
                raise ValueError("no")
            self.channel.send({"n": 2}, on_commit=True)
        self.assertEqual(self.received(), {"n": 2})
        self.assertIsNone(self.received())

    def test_without_a_transaction_a_message_leaves_at_once(self):
        self.channel.send({"n": 1}, on_commit=True)
        self.assertEqual(self.received(), {"n": 1})

    def test_a_group_waits_as_well(self):
        group = Group("g", channel_layer=self.layer)
        group.add("a")
        with transaction.atomic():
            group.send({"n": 1}, on_commit=True)
            self.assertIsNone(self.received())
        self.assertEqual(self.received(), {"n": 1})

    def test_the_database_can_be_chosen(self):
        with transaction.atomic():
            self.channel.send({"n": 1}, on_commit=True, using="other")
            self.assertEqual(self.received(), {"n": 1})

    def test_in_a_consumer_the_commit_is_not_enough(self):
        with self.outbox.collecting(), transaction.atomic():
            self.channel.send({"n": 2}, on_commit=True)
            self.channel.send({"n": 1})
        self.assertIsNone(self.received())
        self.outbox.flush()
        self.assertEqual(self.received(), {"n": 1})
        self.assertEqual(self.received(), {"n": 2})

    def test_a_full_channel_at_the_commit_is_logged(self):
        """The transaction has ended well: nothing can be raised any more."""
        with self.assertLogs("django.db.backends.base", "ERROR") as logs:
            with transaction.atomic():
                for number in range(3):
                    self.channel.send({"n": number}, on_commit=True)
        self.assertIn("ChannelFull", logs.output[0])

    def test_bad_values_are_refused_where_they_are_sent(self):
        with transaction.atomic():
            with self.assertRaisesMessage(TypeError, "message['x']"):
                self.channel.send({"x": object()}, on_commit=True)

    def test_immediately_and_on_commit_exclude_each_other(self):
        msg = "A message leaves either immediately or on commit"
        for destination in self.channel, Group("g", channel_layer=self.layer):
            with self.assertRaisesMessage(ValueError, msg):
                destination.send({}, immediately=True, on_commit=True)

    async def test_asynchronous_code_sends_on_commit(self):
        with self.outbox.collecting():
            await self.channel.asend({"n": 1}, on_commit=True)
        self.assertIsNone(self.received())
        self.outbox.flush()
        self.assertEqual(self.received(), {"n": 1})
