import threading
from types import SimpleNamespace

from django.channels import Channel, Message, route
from django.channels.exceptions import ConsumeLater, DenyConnection, LayerUnavailable
from django.channels.ordering import enforce_ordering
from django.channels.sessions import enforce_ordering as historic_enforce_ordering
from django.channels.worker import Worker, reports
from django.channels.worker.journal import Journal, create_file
from django.test import SimpleTestCase, override_settings
from django.test.channel_layers import cites

from .layers import make_layer
from .messages import assert_specified
from .socket_messages import REPLY_CHANNEL, socket_message
from .utils import TIMEOUT, patch_for

INBOX = REPLY_CHANNEL.split("!")[0] + "!"
CONNECT = {"ordered": False, "order": 0}
WAITED_FOR = {"ordered": True, "confirm": True, "order": 5}
CONSUMED = {"type": "websocket.consumed", "order": 5}
CONSUMING = {"type": "websocket.consuming", "order": 5}


class OrderingTestCase(SimpleTestCase):
    def consume(self, consumer, channel="websocket.receive", content=WAITED_FOR):
        """Have a worker consume a message, and return what it replied."""
        if not hasattr(self, "layer"):
            self.layer = make_layer([route(channel, consumer)])
        message = socket_message(self.layer, channel, **content)
        Worker(self.layer, message_retries=1).consume(channel, message.content)
        return self.replies()

    def replies(self):
        replies = [reply for _, reply in self.layer.receive_batch([INBOX], 100)]
        for reply in replies:
            if reply.get("type", "").startswith("websocket."):
                assert_specified(self, reply)
        return replies


class DecoratorTests(OrderingTestCase):
    def test_the_historic_name_is_the_same(self):
        self.assertIs(historic_enforce_ordering, enforce_ordering)

    def test_a_connect_asks_for_order_before_anything_else(self):
        @enforce_ordering
        def consumer(message):
            message.reply_channel.send({"accept": True}, immediately=True)
            message.reply_channel.send({"text": "hello"})

        self.assertEqual(
            self.consume(consumer, "websocket.connect", CONNECT),
            [
                {"type": "websocket.ordered"},
                {"accept": True},
                {"text": "hello"},
                {"type": "websocket.consumed", "order": 0},
            ],
        )

    def test_where_there_is_order_already_nothing_is_asked_for(self):
        for content in ({"ordered": True, "order": 0}, {"order": 0}):
            with self.subTest(content=content):
                consumer = enforce_ordering(lambda message: None)
                self.assertEqual(
                    self.consume(consumer, "websocket.connect", content), []
                )

    def test_a_connect_that_is_tried_again_asks_once(self):
        @enforce_ordering
        def consumer(message):
            raise ConsumeLater

        self.assertEqual(
            self.consume(consumer, "websocket.connect", CONNECT),
            [
                {"type": "websocket.ordered"},
                {"type": "websocket.consuming", "order": 0},
            ],
        )
        _, again = self.layer.receive(["websocket.connect"])
        with self.assertLogs("django.channels.worker", "WARNING"):
            Worker(self.layer, message_retries=1).consume("websocket.connect", again)
        self.assertEqual(self.replies(), [{"type": "websocket.consumed", "order": 0}])

    def test_all_forms_of_the_decorator(self):
        def consumer(message):
            return message

        message = socket_message(make_layer(), ordered=True)
        for decorated in (
            enforce_ordering(consumer),
            enforce_ordering()(consumer),
            enforce_ordering(slight=False)(consumer),
            enforce_ordering(slight=True)(consumer),
            enforce_ordering(consumer, slight=True),
        ):
            with self.subTest(decorated=decorated):
                self.assertIs(decorated(message), message)
                self.assertEqual(decorated.__name__, "consumer")

    async def test_an_async_consumer_is_ordered_as_well(self):
        @enforce_ordering
        async def consumer(message):
            return message

        message = socket_message(make_layer(), ordered=True)
        self.assertIs(await consumer(message), message)

    def test_slight_order_asks_for_nothing(self):
        consumer = enforce_ordering(slight=True)(lambda message: None)
        self.assertEqual(self.consume(consumer, "websocket.connect", CONNECT), [])

    def test_a_receive_whose_connect_is_not_decorated_is_an_error(self):
        msg = "the consumer that took the websocket.connect of this socket does not"
        consumer = enforce_ordering(lambda message: None)
        with self.assertRaisesMessage(ValueError, msg):
            consumer(socket_message(make_layer()))
        # It never came so far that its connect was consumed.
        consumer(socket_message(make_layer(), "websocket.disconnect"))

    def test_a_message_without_order_is_an_error(self):
        layer = make_layer()
        for content in ({}, {"order": 1}, {"reply_channel": REPLY_CHANNEL}):
            with self.subTest(content=content):
                with self.assertRaisesMessage(
                    ValueError, "needs a message with a reply channel and an order"
                ):
                    enforce_ordering(lambda message: None)(Message(content, "x", layer))


class ReportTests(OrderingTestCase):
    @cites("WS-20", "after all replies of the consumer")
    def test_a_message_is_reported_after_what_its_consumer_sent(self):
        def consumer(message):
            message.reply_channel.send({"text": "a"})

        self.assertEqual(self.consume(consumer), [{"text": "a"}, CONSUMED])

    async def test_so_is_one_of_an_async_consumer(self):
        async def consumer(message):
            await message.reply_channel.asend({"text": "a"})

        self.layer = make_layer([route("websocket.receive", consumer)])
        message = socket_message(self.layer, **WAITED_FOR)
        await Worker(self.layer).aconsume("websocket.receive", message.content)
        self.assertEqual(self.replies(), [{"text": "a"}, CONSUMED])

    def test_nothing_is_reported_that_nobody_waits_for(self):
        for content in ({"ordered": True, "order": 5}, {"order": 5}):
            with self.subTest(content=content):
                self.assertEqual(self.consume(lambda m: None, content=content), [])

    @cites("WS-20", "when the consumer has ended in whatever way")
    def test_a_consumer_that_fails_is_reported(self):
        def fail(message):
            message.reply_channel.send({"text": "This is never sent."})
            raise KeyError("broken")

        def deny(message):
            raise DenyConnection

        def leave(message):
            raise SystemExit

        for consumer in (fail, deny, leave):
            with self.subTest(consumer=consumer):
                self.layer = make_layer([route("websocket.receive", consumer)])
                with self.assertLogs("django.channels.worker", "ERROR"):
                    self.assertEqual(self.consume(consumer), [CONSUMED])

    @cites("WS-20", "or when the message is dropped")
    def test_a_message_that_nobody_takes_is_reported(self):
        def match(message):
            raise KeyError("broken")

        self.layer = make_layer([])
        patch_for(self, self.layer.router, "match", lambda message: None)
        with self.assertLogs("django.channels.worker", "ERROR"):
            self.assertEqual(self.consume(None), [CONSUMED])
        patch_for(self, self.layer.router, "match", match)
        with self.assertLogs("django.channels.worker", "ERROR"):
            self.assertEqual(self.consume(None), [CONSUMED])

    @cites("WS-20", "not when it is to be consumed again")
    @cites("WS-21", "once when the message is to be consumed again")
    def test_a_message_that_comes_again_is_reported_when_it_does_no_more(self):
        def consumer(message):
            raise ConsumeLater

        self.assertEqual(self.consume(consumer), [CONSUMING])
        _, again = self.layer.receive(["websocket.receive"])
        with self.assertLogs("django.channels.worker", "WARNING"):
            Worker(self.layer, message_retries=1).consume("websocket.receive", again)
        self.assertEqual(self.replies(), [CONSUMED])

    def test_messages_of_dead_processes_are_reported(self):
        self.layer = make_layer()
        reports.tell_lost(self.layer, [(REPLY_CHANNEL, 5)])
        self.assertEqual(self.replies(), [CONSUMED])
        reports.tell_lost(self.layer, [])
        full = make_layer(channel_capacity={"interface.reply.*": 1})
        for layer in (full, SimpleNamespace()):
            with self.subTest(layer=layer):
                with self.assertLogs("django.channels.worker", "WARNING") as logs:
                    reports.tell_lost(layer, [(REPLY_CHANNEL, 5)] * 2)
                self.assertEqual(len(logs.output), 1)
                self.assertIn("Servers wait for messages that are lost", logs.output[0])

    def test_a_journal_has_what_servers_wait_for(self):
        following = reports.Following()
        following.journal = Journal(create_file())
        self.addCleanup(following.journal.close)
        patch_for(self, reports, "following", following)
        found = []

        def consumer(message):
            found.extend(following.journal.awaited())

        def later(message):
            raise ConsumeLater

        self.consume(consumer)
        self.assertEqual(found, [(REPLY_CHANNEL, 5)])
        # The report may be on its way.
        self.assertEqual(following.journal.awaited(), found)
        self.layer = make_layer([route("websocket.receive", later)])
        self.consume(later, content={**WAITED_FOR, "order": 6})
        self.assertEqual(following.journal.awaited(), found)


class Noting(threading.Condition):
    """A condition that tells how often somebody has waited."""

    def __init__(self, note):
        super().__init__(threading.Lock())
        self._turns = 0
        self._note = note

    def wait(self, timeout=None):
        self._turns += 1
        self._note(self._turns)
        return super().wait(timeout)


@override_settings(CHANNEL_LIMITS={"WEBSOCKET_ORDER_SECONDS": 0.04})
class FollowingTests(OrderingTestCase):
    def setUp(self):
        patch_for(self, reports, "following", reports.Following())

    def wait_for_report(self):
        reply = self.layer.receive([INBOX], block=True, timeout=TIMEOUT)[1]
        self.assertEqual(reply, CONSUMING)

    @cites("WS-21", "at least three times in each span of the time limit")
    def test_a_message_that_takes_long_is_reported_meanwhile(self):
        threads = []

        def consumer(message):
            threads.append(reports.following._thread)
            for _ in range(4):
                self.wait_for_report()

        # A report that was on its way may come behind the last one.
        replies = [reply for reply in self.consume(consumer) if reply != CONSUMING]
        self.assertEqual(replies, [CONSUMED])
        threads[0].join(TIMEOUT)
        self.assertIsNone(reports.following._thread)

    def test_a_layer_that_fails_is_told_and_tried_again(self):
        def send(channel, message):
            del self.layer.channel_layer.send
            raise LayerUnavailable("The store is away.")

        def consumer(message):
            self.layer.channel_layer.send = send
            self.wait_for_report()

        with self.assertLogs("django.channels.worker", "WARNING") as logs:
            self.consume(consumer)
        self.assertIn("takes long: The store is away.", logs.output[0])

    def test_without_a_limit_nothing_is_reported_meanwhile(self):
        patch_for(self, reports, "IDLE_SECONDS", 0.004)
        done = threading.Event()
        condition = Noting(lambda turns: turns == 3 and done.set())
        reports.following._changed = condition

        def consumer(message):
            self.assertIs(done.wait(TIMEOUT), True)

        with override_settings(CHANNEL_LIMITS={"WEBSOCKET_ORDER_SECONDS": None}):
            self.assertEqual(self.consume(consumer), [CONSUMED])

    def test_what_nobody_waits_for_is_not_followed(self):
        self.consume(lambda message: None, content={"order": 5})
        Channel(REPLY_CHANNEL, channel_layer=self.layer).send({})
        self.assertIsNone(reports.following._thread)
