import datetime
from unittest import mock

from django.channels import Message
from django.channels.generic.websockets import JsonWebsocketConsumer

from .generics import REPLY_CHANNEL, ConsumerTestCase


class JsonEcho(JsonWebsocketConsumer):
    def receive(self, content, **kwargs):
        self.send({"got": content, "kwargs": kwargs})


class AsyncJsonEcho(JsonWebsocketConsumer):
    async def receive(self, content, **kwargs):
        self.send({"got": content, "kwargs": kwargs})


class JsonConsumerTests(ConsumerTestCase):
    consumer = JsonEcho

    def setUp(self):
        self.routing = [self.consumer.as_route(path="^/(?P<room>.)/")]
        super().setUp()

    def assertClosed(self, code, msg, **content):
        with self.assertLogs("django.channels", "WARNING") as logs:
            self.assertEqual(self.receive(**content), [{"close": code}])
        self.assertEqual(len(logs.records), 1)
        self.assertIn(msg, logs.output[0])
        self.assertNotIn("Traceback", logs.output[0])

    def test_what_is_received_is_decoded(self):
        for content in ({"a": [1, None]}, [], 7, "x", None):
            reply = {"text": {"got": content, "kwargs": {"room": "p"}}}
            with self.subTest(content=content):
                self.assertEqual(self.receive_json(content), [reply])

    def test_a_message_that_is_no_json_closes_the_socket_in_one_line(self):
        for text in ("", "{", "{'a': 1}", "\ud800", "1" * 5000):
            with self.subTest(text=text[:10]):
                self.assertClosed(1007, "Closing '/p/': ", text=text)

    def test_json_that_is_nested_too_deep_closes_the_socket(self):
        text = "[" * 100_000
        self.assertClosed(1007, "Its JSON is nested too deep.", text=text)

    def test_bytes_close_the_socket(self):
        msg = "It sent bytes, and JSON comes as text."
        self.assertClosed(1003, msg, bytes=b"{}")

    def test_a_consumer_may_answer_instead(self):
        class Patient(self.consumer):
            def receive_invalid(self, error, **kwargs):
                self.send({"error": str(error), **kwargs})

        self.put_first(Patient.as_route(path="^/(?P<room>.)/"))
        error = "'x' is no JSON: Expecting value: line 1 column 1 (char 0)"
        self.assertEqual(
            self.receive(text="x"), [{"text": {"error": error, "room": "p"}}]
        )

    def test_keys_of_a_client_change_nothing(self):
        """Neither the message nor the arguments of the consumer."""
        content = {
            "reply_channel": "interface.reply.other!z",
            "order": 99,
            "session_key": "stolen",
            "type": "websocket.connect",
            "path": "/q/",
            "room": "*",
            "multiplexer": 1,
            "close": True,
            "accept": False,
            "a!b\n*": "?",
        }
        (reply,) = self.receive_json(content)
        self.assertEqual(reply, {"text": {"got": content, "kwargs": {"room": "p"}}})
        self.assertIsNone(self.layer.receive(["interface.reply.other!"])[1])

    def test_what_is_sent_is_encoded_as_django_does(self):
        message = Message({"reply_channel": REPLY_CHANNEL}, "a", self.layer)
        with mock.patch.object(JsonEcho, "dispatch"):
            consumer = JsonEcho(message)
        consumer.send({"day": datetime.date(2026, 11, 21)}, close=4000)
        reply = {"text": {"day": "2026-11-21"}, "close": 4000}
        self.assertEqual(self.received(), [reply])

    def test_a_group_is_sent_to(self):
        with mock.patch("django.channels.generic.sockets.Group") as group:
            JsonEcho.group_send("g", [1])
        group.return_value.send.assert_called_once_with({"text": "[1]"})


class AsyncJsonConsumerTests(JsonConsumerTests):
    """An asynchronous receive() is called in the same way."""

    consumer = AsyncJsonEcho
