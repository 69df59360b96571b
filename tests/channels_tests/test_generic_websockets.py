from unittest import mock

from django.channels import Channel
from django.channels.exceptions import DenyConnection
from django.channels.generic.websockets import WebsocketConsumer
from django.channels.routing import path
from django.test import TransactionTestCase

from .generics import ConsumerTestCase


class Echo(WebsocketConsumer):
    """Says what it gets, and to whom."""

    def receive(self, text=None, bytes=None, **kwargs):
        self.send(text=text, bytes=bytes)

    def disconnect(self, message, **kwargs):
        ended = Channel("ended", channel_layer=message.channel_layer)
        ended.send({"code": message["code"], "path": self.path})


class Rooms(WebsocketConsumer):
    """Is in a group, which its path names."""

    def connection_groups(self, room):
        return [f"room-{room}"]

    def connect(self, message, room):
        if room == "private":
            raise DenyConnection
        elif room == "full":
            self.close(4001)
        else:
            self.accept()

    def receive(self, text=None, bytes=None, room=None):
        self.send(text=f"{room} {text}")

    def disconnect(self, message, room):
        pass


class AsyncRooms(Rooms):
    async def connect(self, message, room):
        super().connect(message, room)

    async def receive(self, text=None, bytes=None, room=None):
        super().receive(text, bytes, room)

    async def disconnect(self, message, room):
        super().disconnect(message, room)


class WebsocketConsumerTests(ConsumerTestCase):
    routing = [Echo.as_route(path="^/p/$")]

    def test_a_socket_is_accepted(self):
        self.assertEqual(self.connect(), [{"accept": True}])

    def test_text_and_bytes_are_received_and_sent(self):
        self.assertEqual(self.receive(text="{"), [{"text": "{"}])
        self.assertEqual(self.receive(text=""), [{"text": ""}])
        self.assertEqual(self.receive(bytes=b"x"), [{"bytes": b"x"}])

    def test_the_end_is_heard(self):
        self.assertEqual(self.disconnect(), [])
        end = {"code": 1000, "path": "/p/"}
        self.assertEqual(self.layer.receive(["ended"]), ("ended", end))

    def test_a_message_has_text_or_bytes(self):
        consumer = self.make_consumer()
        msg = "You must pass text or bytes, not both."
        with self.assertRaisesMessage(ValueError, msg):
            consumer.send("x", b"x")
        msg = "You must pass text, bytes or close."
        with self.assertRaisesMessage(ValueError, msg):
            consumer.send()

    def test_a_socket_is_closed(self):
        consumer = self.make_consumer()
        for call, reply in (
            (lambda: consumer.close(), {"close": True}),
            (lambda: consumer.close(4000), {"close": 4000}),
            (lambda: consumer.send("x", close=True), {"text": "x", "close": True}),
            (lambda: consumer.send(close=1000), {"close": 1000}),
        ):
            with self.subTest(reply=reply):
                call()
                self.assertEqual(
                    consumer.message.reply_channel.send.call_args.args, (reply,)
                )

    def test_a_group_is_sent_to(self):
        with mock.patch("django.channels.generic.sockets.Group") as group:
            Echo.group_send("g", "x", close=True)
        group.assert_called_once_with("g")
        group.return_value.send.assert_called_once_with({"text": "x", "close": True})

    def test_slight_ordering_is_always_given(self):
        self.put_first(Echo.as_route(attrs={"slight_ordering": True}))
        self.assertEqual(self.connect(), [{"accept": True}])

    def make_consumer(self):
        message = mock.MagicMock()
        message.channel.name = "websocket.receive"
        return Echo(message)


class SubprotocolTests(ConsumerTestCase):
    """A consumer chooses what a socket speaks."""

    routing = [Echo.as_route(attrs={"subprotocols": ["v2", "v1"]})]

    def test_the_first_that_the_client_offers_is_chosen(self):
        reply = {"accept": True, "subprotocol": "v2"}
        self.assertEqual(self.connect(subprotocols=["v1", "v2"]), [reply])

    def test_a_client_that_offers_none_of_them_speaks_none(self):
        self.assertEqual(self.connect(subprotocols=["v3"]), [{"accept": True}])

    def test_a_consumer_may_choose_by_itself(self):
        class Chooser(Echo):
            def connect(self, message):
                self.accept(subprotocol=message["subprotocols"][-1])

        self.put_first(Chooser.as_route())
        reply = {"accept": True, "subprotocol": "b"}
        self.assertEqual(self.connect(subprotocols=["a", "b"]), [reply])


class GroupTests(ConsumerTestCase):
    """A socket is in its groups from when it is let in until it ends."""

    consumer = Rooms

    def setUp(self):
        self.routing = [path("<str:room>/", self.consumer)]
        super().setUp()

    def test_the_groups_are_joined_and_left(self):
        self.assertEqual(self.connect(path="/a/"), [{"accept": True}])
        self.assertEqual(self.group_gets("room-a"), [{"text": 7}])
        self.assertEqual(self.group_gets("room-b"), [])
        self.disconnect(path="/a/")
        self.assertEqual(self.group_gets("room-a"), [])

    def test_what_was_captured_is_passed_on(self):
        self.assertEqual(self.receive(path="/a/", text="x"), [{"text": "a x"}])

    def test_who_is_denied_is_never_in_a_group(self):
        """Data from a group would accept the socket, ahead of the denial."""
        seen = []

        def group_add(*args):
            seen.append(args)

        layer = self.layer.channel_layer
        with (
            mock.patch.object(layer, "group_add", group_add),
            mock.patch.object(layer, "agroup_add", group_add),
        ):
            self.assertEqual(self.connect(path="/private/"), [{"accept": False}])
            self.assertEqual(self.connect(path="/full/"), [{"close": 4001}])
        self.assertEqual(seen, [])

    def test_a_path_that_gives_no_name_of_a_group_is_denied_in_one_line(self):
        for room in ("a!b", "a*", "a\n", "ä", "x" * 100):
            with (
                self.subTest(room=room),
                self.assertLogs("django.channels", "WARNING") as logs,
            ):
                self.assertEqual(self.connect(path=f"/{room}/"), [{"accept": False}])
                self.disconnect(path=f"/{room}/")
                self.assertEqual(len(logs.records), 1)
                self.assertNotIn("\n", logs.output[0])
                self.assertIn("is not a valid group name", logs.output[0])

    def test_an_error_in_naming_them_is_an_error(self):
        class Broken(WebsocketConsumer):
            def connection_groups(self, **kwargs):
                return None + 1

        self.put_first(Broken.as_route())
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            self.assertEqual(self.connect(), [{"accept": False}])
        self.assertIn("TypeError: unsupported operand", logs.output[0])

    def test_they_can_be_an_attribute(self):
        self.put_first(Echo.as_route(attrs={"groups": ["g", "h"]}))
        self.connect()
        self.assertEqual(self.group_gets("h"), [{"text": 7}])


class AsyncGroupTests(GroupTests):
    """Asynchronous methods are called in the same way."""

    consumer = AsyncRooms

    def test_every_method_runs_on_a_loop(self):
        for channel in self.consumer.channel_names():
            with self.subTest(channel=channel):
                self.assertIs(self.consumer.is_async(channel), True)
        self.assertIs(Rooms.is_async("websocket.connect"), False)

    def test_an_overridden_raw_method_is_the_one_that_is_called(self):
        class Raw(WebsocketConsumer):
            async def raw_receive(self, message, **kwargs):
                self.send(text="raw")

        self.put_first(Raw.as_route())
        self.assertEqual(self.receive(text="x"), [{"text": "raw"}])


class SessionAttributeTests(ConsumerTestCase, TransactionTestCase):
    """Attributes decorate the methods."""

    available_apps = [
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ]

    def attributes(self, **attrs):
        """Return which attributes a message has in each method."""
        found = {}

        class Looker(WebsocketConsumer):
            def connect(self, message, **kwargs):
                super().connect(message, **kwargs)
                self.look(message)

            def receive(self, **kwargs):
                self.look(self.message)

            async def disconnect(self, message, **kwargs):
                self.look(message)

            def look(self, message):
                names = "channel_session", "http_session", "user"
                found[message.channel.name] = {n for n in names if hasattr(message, n)}

        self.put_first(Looker.as_route(attrs=attrs))
        self.connect()
        self.receive(text="x")
        self.disconnect()
        self.assertEqual(set(found), Looker.channel_names())
        (same,) = {frozenset(names) for names in found.values()}
        return set(same)

    def test_a_channel_session(self):
        self.assertEqual(self.attributes(channel_session=True), {"channel_session"})

    def test_a_user_of_the_channel_session(self):
        self.assertEqual(
            self.attributes(channel_session_user=True), {"channel_session", "user"}
        )

    def test_a_user_of_the_browser(self):
        expected = {"channel_session", "http_session", "user"}
        self.assertEqual(self.attributes(http_user=True), expected)
        self.assertEqual(self.attributes(http_user_and_session=True), expected)

    def test_nothing_unless_asked_for(self):
        self.assertEqual(self.attributes(), set())

    def test_strict_ordering(self):
        self.put_first(Echo.as_route(attrs={"strict_ordering": True}))
        ordered, consumed = "websocket.ordered", "websocket.consumed"
        self.assertEqual(
            self.connect(ordered=False),
            [{"type": ordered}, {"accept": True}, {"type": consumed, "order": 0}],
        )
        self.assertEqual(self.receive(text="x", ordered=True), [{"text": "x"}])
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            self.assertEqual(self.receive(text="x"), [])
        self.assertIn("Decorate both.", logs.output[0])
