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
from .utils import TIMEOUT


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
        no_key = "A multiplexed message must be a dict with stream and payload, not "
        unmapped = "A multiplexed message must be for a stream ('a', 'b'), not for "
        for content, msg in (
            ([], no_key + "[]."),
            ("stream payload", no_key + "'stream payload'."),
            ({"stream": "a"}, no_key + "{'stream': 'a'}."),
            ({"payload": 1}, no_key + "{'payload': 1}."),
            ({"stream": "c", "payload": 1}, unmapped + "'c'."),
            ({"stream": ["a"], "payload": 1}, unmapped + "['a']."),
            ({"stream": None, "payload": 1}, unmapped + "None."),
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

        self.put_first(Careful.as_route())
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            self.assertEqual(self.receive_json({"stream": "a", "payload": 1}), [])
        self.assertIn("Careless is the consumer of a stream: send", logs.output[0])
        # By itself, it sends as before.
        self.put_first(Careless.as_route())
        self.assertEqual(self.receive_json(7), [{"text": 7}])

    def test_a_multiplexer_of_ones_own_is_used(self):
        class Shouting(WebsocketMultiplexer):
            @classmethod
            def encode_json(cls, content):
                return super().encode_json({**content, "loud": True})

        routing = self.consumer.as_route(attrs={"multiplexer_class": Shouting})
        self.put_first(routing)
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
        both = threading.Barrier(2, timeout=TIMEOUT)

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
        self.put_first(One.as_route(path="^/1/"))
        self.put_first(Two.as_route(path="^/2/"))
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
            thread.join(TIMEOUT)
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
