"""What test cases with channel layers in memory give and assert."""

import unittest

from django.channels import Channel, Group, channel_layers, route
from django.channels.backends.memory import MemoryChannelLayer
from django.channels.exceptions import ChannelFull, InvalidChannelLayerError
from django.channels.layers import ChannelLayerWrapper
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.test import SimpleTestCase, override_settings
from django.test.channels import (
    ChannelTestCase,
    ChannelTestCaseMixin,
    Client,
    TransactionChannelTestCase,
    apply_routes,
)

from .layers import MEMORY

# A layer that cannot even be made: no test may come to use it.
ABSENT = "no_such_package.Layer"
LAYERS = {
    alias: {
        "BACKEND": ABSENT,
        "CONFIG": {"hosts": ["redis://absent"], "capacity": 7},
        "ROUTING": [route("configured", "channels_tests.consumers.receive")],
    }
    for alias in ("default", "other")
}


def consume_one(message):
    """Say which consumer it is."""
    message.reply_channel.send({"text": "one"})


def consume_two(message):
    """Say which consumer it is."""
    message.reply_channel.send({"text": "two"})


def run(case_class, name="test"):
    """Return the TestResult of one method of a test case."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.suiteClass([case_class(name)]).run(result)
    return result


@override_settings(CHANNEL_LAYERS=LAYERS)
class LayerTests(ChannelTestCaseMixin, SimpleTestCase):
    test_channel_aliases = ["default", "other"]

    def assertEmpty(self):
        self.assertNoMessage("a")
        Channel("a").send({"n": 1})

    def test_a_layer_is_empty_whatever_ran_before(self):
        self.assertEmpty()

    def test_a_layer_is_empty_whatever_ran_before_that(self):
        self.assertEmpty()

    def test_each_alias_has_a_layer_of_its_own(self):
        Channel("a", alias="other").send({"n": 1})
        self.assertNoMessage("a")
        message = self.get_next_message("a", alias="other", require=True)
        self.assertEqual(message.content, {"n": 1})
        self.assertEqual(message.channel.name, "a")

    def test_messages_are_taken_in_their_order_until_there_is_none(self):
        for number in range(2):
            Channel("a").send({"n": number})
        self.assertEqual(self.get_next_message("a")["n"], 0)
        self.assertEqual(self.get_next_message("a")["n"], 1)
        self.assertIsNone(self.get_next_message("a"))
        with self.assertRaisesMessage(
            AssertionError, "Expected a message on channel a, got none."
        ):
            self.get_next_message("a", require=True)

    def test_a_message_for_one_of_an_inbox_is_taken_without_those_for_others(self):
        layer = channel_layers["default"]
        one, two = (layer.new_channel("inbox.x!") for _ in range(2))
        for name in one, two, one:
            layer.send(name, {"to": name})
        self.assertEqual(self.get_next_message(two)["to"], two)
        self.assertIsNone(self.get_next_message(two))
        self.assertEqual(self.get_next_message("inbox.x!")["to"], one)
        self.assertEqual(self.get_next_message(one)["to"], one)

    def test_the_capacity_is_that_of_the_configured_layer(self):
        for _ in range(7):
            Channel("a").send({})
        with self.assertRaisesMessage(ChannelFull, "a"):
            Channel("a").send({})

    def test_the_routing_is_that_of_the_configured_layer(self):
        self.assertIn("configured", channel_layers["default"].router.channels)

    def test_a_setting_that_a_test_overrides_makes_no_other_layer(self):
        config = {"BACKEND": ABSENT, "ROUTING": {"b": consume_one}}
        config["TEST_CONFIG"] = {"capacity": 1}
        with self.settings(CHANNEL_LAYERS={"default": config}):
            Channel("b").send({})
            self.assertIn("b", channel_layers["default"].router.channels)
            with self.assertRaisesMessage(ChannelFull, "b"):
                Channel("b").send({})
        self.assertNoMessage("b")
        self.assertNotIn("b", channel_layers["default"].router.channels)


class RestoringTests(SimpleTestCase):
    def test_the_layer_of_before_is_there_afterwards(self):
        class Case(ChannelTestCaseMixin, SimpleTestCase):
            def test(self):
                Channel("a").send({"n": 2})

        config = {"default": {"BACKEND": MEMORY, "ROUTING": []}}
        with override_settings(CHANNEL_LAYERS=config):
            before = channel_layers["default"]
            self.assertTrue(run(Case).wasSuccessful())
            self.assertIs(channel_layers["default"], before)
            self.assertEqual(before.receive(["a"]), (None, None))

    def test_an_alias_that_is_not_configured_is_an_error_of_the_test(self):
        class Case(ChannelTestCaseMixin, SimpleTestCase):
            test_channel_aliases = ["default", "typo"]

            def test(self):
                raise NotImplementedError

        with override_settings(CHANNEL_LAYERS=LAYERS):
            result = run(Case)
            ((_, text),) = result.errors
            self.assertIn("The channel layer 'typo' is not in CHANNEL_LAYERS", text)
            # The one that could be made is gone as well.
            with self.assertRaisesMessage(InvalidChannelLayerError, ABSENT):
                channel_layers["default"]


@override_settings(CHANNEL_LAYERS=LAYERS)
class AssertionTests(ChannelTestCaseMixin, SimpleTestCase):
    def test_what_was_sent_is_known_after_it_was_received(self):
        Channel("a").send({"n": 1})
        Channel("a").send({"n": 2})
        self.get_next_message("a")
        self.assertEqual(self.assertMessageSent("a", {"n": 1}), {"n": 1})
        self.assertEqual(self.assertMessageSent("a", count=2), {"n": 2})
        self.assertMessageSent(Channel("a"), {"n": 2}, count=1)
        self.assertNoMessageSent("b")
        self.assertNoMessageSent("a", {"n": 3})

    def test_a_failure_lists_what_was_sent(self):
        Channel("a").send({"n": 1})
        Group("g").send({"n": 2})
        message = (
            "{'n': 2} to channel 'a' was sent 0 times, not at least once. What was "
            "sent:\n  {'n': 1} to channel 'a'\n  {'n': 2} to group 'g'"
        )
        with self.assertRaisesMessage(AssertionError, message):
            self.assertMessageSent("a", {"n": 2})
        with self.assertRaisesMessage(AssertionError, "was sent 1 times, not 2 times"):
            self.assertMessageSent("a", count=2)
        with self.assertRaisesMessage(AssertionError, "was sent 1 times, not 0 times"):
            self.assertNoMessageSent("a")
        with self.assertRaisesMessage(AssertionError, "{'n': 1} waits on channel 'a'."):
            self.assertNoMessage("a")

    def test_what_was_sent_to_a_group_without_members_is_known(self):
        Group("g").send({"n": 1})
        self.assertMessageSent(group="g", content={"n": 1}, count=1)
        self.assertMessageSent(group=Group("g"))
        self.assertNoMessageSent("g")

    def test_exactly_one_of_channel_and_group_is_given(self):
        for kwargs, got in (
            ({}, "channel=None and group=None"),
            ({"channel": "a", "group": "b"}, "channel='a' and group='b'"),
        ):
            message = f"Give a channel or a group, one of the two, not {got}."
            with self.assertRaisesMessage(TypeError, message):
                self.assertMessageSent(**kwargs)

    def test_what_cannot_have_been_sent_is_refused(self):
        """Otherwise an assertion that nothing such was sent could not fail."""
        for assertion in self.assertMessageSent, self.assertNoMessageSent:
            for args, kwargs, message in (
                (["a b"], {}, "'a b' is not a valid channel name"),
                ([Group("g")], {}, "must be a str, not <Group: g>"),
                ([5], {}, "channel name must be a str, not 5 of type int."),
                ([], {"group": "a!b"}, "'a!b' is not a valid group name"),
                ([], {"group": Channel("a")}, "must be a str, not <Channel: a>"),
                (["a", "n"], {}, "content must be a dict or None, not 'n'."),
            ):
                with self.subTest(assertion=assertion, args=args, kwargs=kwargs):
                    with self.assertRaisesMessage(TypeError, message):
                        assertion(*args, **kwargs)
        for count in "1", 1.0, True, -1:
            message = f"count must be an int of at least 0 or None, not {count!r}."
            with self.assertRaisesMessage(TypeError, message):
                self.assertMessageSent("a", count=count)

    def test_a_channel_may_be_given_by_itself(self):
        Channel("a").send({"n": 1})
        with self.assertRaisesMessage(AssertionError, "{'n': 1} waits on channel 'a'."):
            self.assertNoMessage(Channel("a"))
        self.assertIsNone(self.get_next_message(Channel("a")))

    def test_a_layer_that_is_none_of_the_test_is_named(self):
        layer = ChannelLayerWrapper(MemoryChannelLayer(), "real", [])
        channel_layers.set("real", layer)
        self.addCleanup(channel_layers.set, "real", None)
        message = "The channel layer 'real' is none of this test"
        for use in (
            self.assertMessageSent,
            self.assertNoMessageSent,
            self.assertQueuedOnCommit,
            self.assertNoMessage,
            self.get_next_message,
        ):
            with self.subTest(use=use):
                with self.assertRaisesMessage(ImproperlyConfigured, message):
                    use("a", alias="real")

    def test_all_messages_are_known_however_many_they_are(self):
        for number in range(10_001):
            Group("nobody").send({"n": number})
        self.assertMessageSent(group="nobody", count=10_001)
        with self.captureMessages() as messages:
            Group("nobody").send({"n": "last"})
        self.assertEqual([message.content for message in messages], [{"n": "last"}])

    def test_what_a_full_channel_refused_was_not_sent(self):
        for number in range(7):
            Channel("a").send({"n": number})
        with self.assertRaisesMessage(ChannelFull, "a"):
            Channel("a").send({"n": 7})
        channel_layers["default"].send_batch([("a", {"n": 8}), ("b", {"n": 9})])
        self.assertMessageSent("a", count=7)
        self.assertMessageSent("b", {"n": 9})

    def test_what_is_sent_is_known_as_it_was(self):
        content = {"list": [1]}
        Channel("a").send(content)
        content["list"].append(2)
        self.get_next_message("a")["list"].append(3)
        self.assertMessageSent("a", {"list": [1]})

    def test_a_block_has_its_own_messages(self):
        Channel("a").send({"n": 1})
        with self.captureMessages() as messages:
            Channel("a").send({"n": 2})
        Channel("a").send({"n": 3})
        self.assertEqual([message.content for message in messages], [{"n": 2}])

    async def test_what_is_sent_asynchronously_is_known(self):
        await Channel("a").asend({"n": 1})
        await Group("g").asend({"n": 2})
        await channel_layers["default"].asend_batch([("b", {"n": 3})])
        self.assertMessageSent("a", {"n": 1}, count=1)
        self.assertMessageSent(group="g", content={"n": 2}, count=1)
        self.assertMessageSent("b", {"n": 3}, count=1)


@override_settings(CHANNEL_LAYERS=LAYERS)
class ClassDataTests(ChannelTestCase):
    @classmethod
    def setUpTestData(cls):
        # The configured layer cannot even be made.
        Channel("a").send({"n": 1})

    def test_what_the_data_of_a_class_sends_is_sent_to_nobody(self):
        self.assertNoMessage("a")
        self.assertNoMessageSent("a")


@override_settings(CHANNEL_LAYERS=LAYERS)
class CommitTests(ChannelTestCase):
    def test_what_waits_for_the_commit_is_known_and_not_sent(self):
        Channel("a").send({"n": 1}, on_commit=True)
        Group("g").send({"n": 2}, on_commit=True)
        self.assertEqual(self.assertQueuedOnCommit("a", {"n": 1}, count=1), {"n": 1})
        self.assertQueuedOnCommit(group="g", content={"n": 2})
        self.assertNoMessageSent("a")
        with self.assertRaisesMessage(
            AssertionError, "was queued 0 times, not at least once. What was queued:\n"
        ):
            self.assertQueuedOnCommit("b")

    def test_captured_callbacks_send(self):
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            Channel("a").send({"n": 1}, on_commit=True)
            self.assertNoMessageSent("a")
        self.assertEqual(len(callbacks), 1)
        self.assertMessageSent("a", {"n": 1}, count=1)

    def test_nothing_waits_after_a_rollback(self):
        with self.assertRaisesMessage(ValueError, "no"), transaction.atomic():
            Channel("a").send({"n": 1}, on_commit=True)
            raise ValueError("no")
        self.assertQueuedOnCommit("a", count=0)

    def test_a_consumer_that_succeeds_queues_too(self):
        def consumer(message):
            Channel("a").send({"n": 1}, on_commit=True)

        with apply_routes({"start": consumer}):
            with self.captureOnCommitCallbacks(execute=True):
                Client().send_and_consume("start")
                self.assertQueuedOnCommit("a", {"n": 1})
        self.assertMessageSent("a", {"n": 1}, count=1)


@override_settings(CHANNEL_LAYERS=LAYERS)
class TransactionTests(TransactionChannelTestCase):
    available_apps = ["channels_tests"]

    def test_a_commit_sends(self):
        with transaction.atomic():
            Channel("a").send({"n": 1}, on_commit=True)
            self.assertQueuedOnCommit("a", {"n": 1})
            self.assertNoMessageSent("a")
        self.assertQueuedOnCommit("a", count=0)
        self.assertMessageSent("a", {"n": 1}, count=1)


@override_settings(CHANNEL_LAYERS=LAYERS)
@apply_routes([route("start", consume_one)])
class ClassRoutesTests(ChannelTestCaseMixin, SimpleTestCase):
    def setUp(self):
        self.first = Client()
        self.first.send_and_consume("start")

    def test_a_class_has_its_routes_from_set_up_on(self):
        self.assertEqual(self.first.receive(), {"text": "one"})
        self.assertNotIn("configured", channel_layers["default"].router.channels)

    @apply_routes([route("start", consume_two)])
    def test_the_routes_of_a_test_come_instead(self):
        self.assertEqual(self.first.receive(), {"text": "one"})
        self.first.send_and_consume("start")
        self.assertEqual(self.first.receive(), {"text": "two"})


@override_settings(CHANNEL_LAYERS=LAYERS)
class RoutesTests(ChannelTestCaseMixin, SimpleTestCase):
    test_channel_aliases = ["default", "other"]

    def answer(self, alias="default"):
        """Return what the consumer of a channel replies, None without a route."""
        client = Client(alias)
        client.send_and_consume("start", fail_on_none=False)
        return client.receive()

    def test_a_block_ends_its_routes(self):
        with apply_routes({"start": consume_one}):
            self.assertEqual(self.answer(), {"text": "one"})
            with apply_routes([route("start", consume_two)]):
                self.assertEqual(self.answer(), {"text": "two"})
            self.assertEqual(self.answer(), {"text": "one"})
        with self.assertLogs("django.channels.worker", "ERROR"):
            self.assertIsNone(self.answer())
        self.assertIn("configured", channel_layers["default"].router.channels)

    def test_an_exception_ends_routes(self):
        with self.assertRaisesMessage(ValueError, "no"):
            with apply_routes({"start": consume_one}):
                raise ValueError("no")
        self.assertNotIn("start", channel_layers["default"].router.channels)

    def test_routes_apply_to_the_aliases_that_are_named(self):
        with apply_routes({"start": consume_one}, aliases=["other"]):
            self.assertEqual(self.answer("other"), {"text": "one"})
            with self.assertLogs("django.channels.worker", "ERROR"):
                self.assertIsNone(self.answer("default"))
        with apply_routes({"start": consume_two}, aliases=["default", "other"]):
            for alias in "default", "other":
                self.assertEqual(self.answer(alias), {"text": "two"})

    @apply_routes(route("start", consume_one))
    def test_one_route_is_enough(self):
        self.assertEqual(self.answer(), {"text": "one"})

    @apply_routes([route("start", consume_one)])
    async def test_asynchronous_tests_have_routes(self):
        client = Client()
        await client.asend_and_consume("start")
        self.assertEqual(client.receive(), {"text": "one"})

    def test_aliases_are_a_list(self):
        for aliases in "default", 5:
            message = f"aliases must be a list of aliases, not {aliases!r}."
            with self.assertRaisesMessage(TypeError, message):
                apply_routes([], aliases=aliases)
            case = type("Case", (ChannelTestCaseMixin, SimpleTestCase), {})
            case.test_channel_aliases = aliases
            with self.assertRaisesMessage(TypeError, message):
                case.setUpClass()
