from functools import wraps

from django.channels import route
from django.channels.exceptions import InvalidRoutingError
from django.channels.generic import BaseConsumer
from django.channels.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketDemultiplexer,
)
from django.channels.routing import path
from django.utils.decorators import method_decorator

from .generics import ConsumerTestCase


class Jobs(BaseConsumer):
    """A consumer of two named channels, one of them asynchronous."""

    method_mapping = {"resize": "resize", "crop": "crop"}
    prefix = "done"

    def resize(self, message, **kwargs):
        self.tell("resize", kwargs)

    async def crop(self, message, **kwargs):
        self.tell("crop", kwargs)

    def tell(self, what, kwargs):
        text = f"{self.prefix} {what} {self.message['n']} {kwargs} {self.kwargs}"
        self.message.reply_channel.send({"text": text})


class BaseConsumerTests(ConsumerTestCase):
    def texts(self, routing, channel="resize", **content):
        self.put_first(routing)
        return [reply["text"] for reply in self.consume(channel, n=1, **content)]

    def test_each_channel_has_its_method(self):
        routing = Jobs.as_route()
        self.assertEqual(routing.channel_names(), {"resize", "crop"})
        self.assertEqual(self.texts(routing), ["done resize 1 {} {}"])

    def test_a_method_may_be_asynchronous(self):
        self.assertEqual(self.texts(Jobs.as_route(), "crop"), ["done crop 1 {} {}"])

    def test_what_the_route_captured_comes_as_arguments(self):
        routing = Jobs.as_route(path="^/(?P<x>.)/")
        self.assertEqual(self.texts(routing), ["done resize 1 {'x': 'p'} {'x': 'p'}"])

    def test_a_route_may_change_attributes(self):
        routing = Jobs.as_route(attrs={"prefix": "ready"})
        self.assertEqual(self.texts(routing), ["ready resize 1 {} {}"])
        self.assertEqual(Jobs.prefix, "done")
        self.assertEqual(routing.consumer.__qualname__, "Jobs")
        self.assertEqual(routing.consumer.__module__, __name__)

    def test_attributes_that_are_no_dict_are_refused(self):
        msg = "attrs must be a dict of attributes, not ['x']."
        with self.assertRaisesMessage(TypeError, msg):
            Jobs.as_route(attrs=["x"])

    def test_a_path_may_change_attributes(self):
        consumer = Jobs.as_consumer(prefix="ready")
        self.assertIs(Jobs.as_consumer(), Jobs)
        self.assertEqual(
            self.texts(path("<slug:s>/", consumer)),
            ["ready resize 1 {'s': 'p'} {'s': 'p'}"],
        )

    def test_a_channel_without_a_method_is_refused(self):
        msg = "Jobs has no method for messages on other; its method_mapping has"
        with self.assertRaisesMessage(InvalidRoutingError, msg):
            route("other", Jobs)
        missing = Jobs.as_consumer(method_mapping={"other": "missing"})
        with self.assertRaisesMessage(InvalidRoutingError, "has no method"):
            missing.as_route()

    def test_a_method_that_yields_is_refused(self):
        class Stream(JsonWebsocketConsumer):
            async def receive(self, content, **kwargs):
                yield content

        class Streams(WebsocketDemultiplexer):
            consumers = {"one": Stream}

        class Lazy(Jobs):
            def resize(self, message, **kwargs):
                yield message

        for consumer, name in (
            (Stream, "<locals>.Stream.receive"),
            (Streams, "<locals>.Stream.receive"),
            (Lazy, "<locals>.Lazy.resize"),
        ):
            with self.subTest(consumer=consumer):
                msg = f"{name}() yields: calling it would do nothing."
                with self.assertRaisesMessage(InvalidRoutingError, msg):
                    consumer.as_route()

    def test_each_message_has_an_instance_of_its_own(self):
        seen = []

        class Keeper(BaseConsumer):
            method_mapping = {"resize": "resize"}

            def resize(self, message, **kwargs):
                seen.append(self)

        routing = Keeper.as_route()
        self.texts(routing)
        self.texts(routing)
        self.assertIsNot(seen[0], seen[1])

    def test_methods_can_be_decorated(self):
        def loud(consumer):
            @wraps(consumer)
            def decorated(message, **kwargs):
                consumer(message, **kwargs)
                message.reply_channel.send({"text": "LOUD"})

            return decorated

        class Loud(Jobs):
            @method_decorator(loud)
            def resize(self, message, **kwargs):
                super().resize(message, **kwargs)

        class LoudHandler(Jobs):
            def get_handler(self, message, **kwargs):
                return loud(super().get_handler(message, **kwargs))

        for consumer in Loud, LoudHandler:
            with self.subTest(consumer):
                texts = self.texts(consumer.as_route())
                self.assertEqual(texts, ["done resize 1 {} {}", "LOUD"])
