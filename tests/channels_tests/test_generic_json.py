import datetime
import threading
from unittest import mock

from django.channels import Channel, Message
from django.channels.exceptions import (
    DenyConnection,
    SendNotAvailableOnDemultiplexer,
)
from django.channels.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)
from django.channels.worker import Worker

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
        msg = "No text section for incoming WebSocket frame!"
        self.assertClosed(1003, msg, bytes=b"{}")

    def test_a_consumer_may_answer_instead(self):
        class Patient(self.consumer):
            def receive_invalid(self, error, **kwargs):
                self.send({"error": str(error), **kwargs})

        self.layer.router.root.insert(0, Patient.as_route(path="^/(?P<room>.)/"))
        error = "Expecting value: line 1 column 1 (char 0)"
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


class Stream(JsonWebsocketConsumer):
    """Says on its stream what it is called with."""

    groups = ["all"]

    def connect(self, message, multiplexer, **kwargs):
        super().connect(message, multiplexer=multiplexer, **kwargs)
        multiplexer.send({"connected": kwargs})

    def receive(self, content, multiplexer, **kwargs):
        multiplexer.send({"got": content, "kwargs": kwargs})

    def disconnect(self, message, multiplexer, **kwargs):
        ended = Channel("ended", channel_layer=message.channel_layer)
        ended.send({"stream": multiplexer.stream})


class Strict(Stream):
    groups = ["strict"]

    def connect(self, message, multiplexer, **kwargs):
        if b"denied" in message["query_string"]:
            raise DenyConnection
        super().connect(message, multiplexer, **kwargs)


class AsyncStrict(Strict):
    async def connect(self, message, multiplexer, **kwargs):
        super().connect(message, multiplexer, **kwargs)

    async def receive(self, content, multiplexer, **kwargs):
        super().receive(content, multiplexer, **kwargs)

    async def disconnect(self, message, multiplexer, **kwargs):
        super().disconnect(message, multiplexer, **kwargs)


class Demultiplexer(WebsocketDemultiplexer):
    consumers = {"a": Stream, "b": Strict}
    groups = ["own"]


class DemultiplexerTests(ConsumerTestCase):
    consumer = Demultiplexer

    def setUp(self):
        self.routing = [self.consumer.as_route(path="^/(?P<room>.)/")]
        super().setUp()

    def connect(self, **content):
        return super().connect(**{"query_string": b"", **content})

    def test_every_stream_connects_and_disconnects(self):
        connected = {"connected": {"room": "p"}}
        self.assertEqual(
            self.connect(),
            [
                {"accept": True},
                {"text": {"stream": "a", "payload": connected}},
                {"text": {"stream": "b", "payload": connected}},
            ],
        )
        self.disconnect()
        for stream in "ab":
            self.assertEqual(self.layer.receive(["ended"])[1], {"stream": stream})

    def test_a_stream_receives_what_is_meant_for_it(self):
        payload = {"stream": "a", "payload": 1}
        (reply,) = self.receive_json({"stream": "b", "payload": payload, "x": 1})
        self.assertEqual(reply["text"]["stream"], "b")
        self.assertEqual(
            reply["text"]["payload"], {"got": payload, "kwargs": {"room": "p"}}
        )

    def test_the_groups_of_all_are_joined_and_left(self):
        self.connect()
        for name in "own", "all", "strict":
            with self.subTest(name=name):
                self.assertEqual(self.group_gets(name), [{"text": 7}])
        self.disconnect()
        for name in "own", "all", "strict":
            with self.subTest(name=name):
                self.assertEqual(self.group_gets(name), [])

    def test_a_stream_that_denies_keeps_the_others_out_of_their_groups(self):
        added = []
        with (
            mock.patch.object(self.layer.channel_layer, "group_add", added.append),
            mock.patch.object(self.layer.channel_layer, "agroup_add", added.append),
        ):
            self.assertEqual(self.connect(query_string=b"denied"), [{"accept": False}])
        self.assertEqual(added, [])

    def test_what_is_no_frame_of_a_stream_closes_the_socket_in_one_line(self):
        no_key = "Invalid multiplexed frame received (no stream or payload key)"
        unmapped = "Invalid multiplexed frame received (stream not mapped)"
        for content, msg in (
            ([], no_key),
            ("stream payload", no_key),
            ({"stream": "a"}, no_key),
            ({"payload": 1}, no_key),
            ({"stream": "c", "payload": 1}, unmapped),
            ({"stream": ["a"], "payload": 1}, unmapped),
            ({"stream": None, "payload": 1}, unmapped),
        ):
            with (
                self.subTest(content=content),
                self.assertLogs("django.channels", "WARNING") as logs,
            ):
                self.assertEqual(self.receive_json(content), [{"close": 1007}])
                self.assertIn(msg, logs.output[0])
                self.assertEqual(len(logs.records), 1)

    def test_a_demultiplexer_does_not_send(self):
        message = Message(
            {"reply_channel": REPLY_CHANNEL, "path": "/"},
            "websocket.disconnect",
            self.layer,
        )
        consumer = WebsocketDemultiplexer(message)
        for send in consumer.send, Demultiplexer.group_send:
            with self.subTest(send), self.assertRaises(SendNotAvailableOnDemultiplexer):
                send("g", {})

    def test_a_stream_sends_with_its_multiplexer_only(self):
        class Careless(JsonWebsocketConsumer):
            def receive(self, content, **kwargs):
                self.send(content)

        class Careful(WebsocketDemultiplexer):
            consumers = {"a": Careless}

        self.layer.router.root.insert(0, Careful.as_route())
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            self.assertEqual(self.receive_json({"stream": "a", "payload": 1}), [])
        self.assertIn("Careless is the consumer of a stream: send", logs.output[0])
        # By itself, it sends as before.
        self.layer.router.root.insert(0, Careless.as_route())
        self.assertEqual(self.receive_json(7), [{"text": 7}])

    def test_a_multiplexer_of_ones_own_is_used(self):
        class Shouting(WebsocketMultiplexer):
            @classmethod
            def encode_json(cls, content):
                return super().encode_json({**content, "loud": True})

        routing = self.consumer.as_route(attrs={"multiplexer_class": Shouting})
        self.layer.router.root.insert(0, routing)
        (reply,) = self.receive_json({"stream": "a", "payload": 1})
        self.assertIs(reply["text"]["loud"], True)

    def test_a_group_is_sent_to_on_a_stream(self):
        with mock.patch("django.channels.generic.multiplexing.Group") as group:
            WebsocketMultiplexer.group_send("g", "a", 7, close=True)
        group.assert_called_once_with("g")
        text = '{"stream": "a", "payload": 7}'
        group.return_value.send.assert_called_once_with({"text": text, "close": True})

    def test_only_a_class_for_json_can_be_a_stream(self):
        msg = "stream 'a' must be a subclass of JsonWebsocketConsumer, not 7."
        with self.assertRaisesMessage(TypeError, msg):
            type("Wrong", (WebsocketDemultiplexer,), {"consumers": {"a": 7}})


class AsyncDemultiplexer(WebsocketDemultiplexer):
    consumers = {"a": Stream, "b": AsyncStrict}
    groups = ["own"]


class AsyncDemultiplexerTests(DemultiplexerTests):
    """Streams may be asynchronous; the others then run in threads."""

    consumer = AsyncDemultiplexer

    def test_one_asynchronous_stream_makes_it_so(self):
        for channel in self.consumer.channel_names():
            self.assertIs(self.consumer.is_async(channel), True)
        self.assertIs(Demultiplexer.is_async("websocket.connect"), False)


class SharedClassTests(ConsumerTestCase):
    """The class of a stream is shared by sockets; what is bound is an instance."""

    def test_two_sockets_at_once_keep_their_streams(self):
        both = threading.Barrier(2, timeout=10)

        class Slow(JsonWebsocketConsumer):
            def receive(self, content, multiplexer, **kwargs):
                both.wait()
                multiplexer.send(content)
                both.wait()

        class One(WebsocketDemultiplexer):
            consumers = {"one": Slow}

        class Two(WebsocketDemultiplexer):
            consumers = {"two": Slow}

        before = dict(vars(Slow))
        self.layer.router.root[:0] = [
            One.as_route(path="^/1/"),
            Two.as_route(path="^/2/"),
        ]
        frames = {"/1/": "one", "/2/": "two"}
        threads = [
            threading.Thread(
                target=self.send_frame, args=(path, stream), name=f"socket-{stream}"
            )
            for path, stream in frames.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        texts = [reply["text"] for reply in self.received()]
        self.assertCountEqual(
            [(text["stream"], text["payload"]) for text in texts],
            [("one", "/1/"), ("two", "/2/")],
        )
        self.assertEqual(dict(vars(Slow)), before)

    def send_frame(self, path, stream):
        text = WebsocketMultiplexer.encode(stream, path)["text"]
        content = {"reply_channel": REPLY_CHANNEL, "path": path, "text": text}
        Worker(self.layer).consume("websocket.receive", content)
