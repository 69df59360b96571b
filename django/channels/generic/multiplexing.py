"""
Several streams in one socket.

In: messages of a socket, as {"stream": …, "payload": …} in JSON. Out: calls of
the consumers of the streams.
"""

import json
import reprlib
from dataclasses import dataclass

from asgiref.sync import sync_to_async

from django.channels.channel import Group
from django.channels.exceptions import SendNotAvailableOnDemultiplexer
from django.channels.generic.json_sockets import JsonWebsocketConsumer
from django.core.serializers.json import DjangoJSONEncoder


@dataclass
class Stream:
    """What the consumer of a stream knows of the socket around it."""

    demultiplexer: "WebsocketDemultiplexer"
    payload: object


class WebsocketMultiplexer:
    """Sends on one stream of a socket."""

    def __init__(self, stream, reply_channel):
        self.stream = stream
        self.reply_channel = reply_channel

    def send(self, payload):
        """Send what can be encoded as JSON."""
        self.reply_channel.send(self.encode(self.stream, payload))

    @classmethod
    def encode_json(cls, content):
        """Return a str of JSON."""
        return json.dumps(content, cls=DjangoJSONEncoder)

    @classmethod
    def encode(cls, stream, payload):
        """Return the message that brings a payload to a stream."""
        return {"text": cls.encode_json({"stream": stream, "payload": payload})}

    @classmethod
    def group_send(cls, name, stream, payload, close=False):
        """Send on a stream of all sockets in a group; close them if asked to."""
        message = cls.encode(stream, payload)
        if close:
            message["close"] = close
        Group(name).send(message)


class WebsocketDemultiplexer(JsonWebsocketConsumer):
    """
    A consumer of sockets that carry several streams.

    ``consumers`` has a JsonWebsocketConsumer for each stream. Their methods are
    called with a ``multiplexer``, which sends on the stream; by themselves,
    neither they nor this class can send.
    """

    consumers = {}
    multiplexer_class = WebsocketMultiplexer

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for stream, consumer in cls.consumers.items():
            if not isinstance(consumer, type) or not issubclass(
                consumer, JsonWebsocketConsumer
            ):
                raise TypeError(
                    f"The consumer of stream {stream!r} must be a subclass of "
                    f"JsonWebsocketConsumer, not {consumer!r}."
                )

    def connect(self, message, **kwargs):
        """Accept the socket, and have every stream connect."""
        self.accept()
        self._forward(self.consumers, **kwargs)

    def disconnect(self, message, **kwargs):
        """Have every stream disconnect."""
        self._forward(self.consumers, **kwargs)

    def receive(self, content, **kwargs):
        """Have the stream of a message receive its payload."""
        if not isinstance(content, dict) or not {"stream", "payload"} <= set(content):
            error = f"a dict with stream and payload, not {reprlib.repr(content)}"
            self._receive_no_frame(error, **kwargs)
        elif not isinstance(stream := content["stream"], str) or (
            stream not in self.consumers
        ):
            known = ", ".join(map(repr, self.consumers)) or "none"
            error = f"for a stream ({known}), not for {reprlib.repr(stream)}"
            self._receive_no_frame(error, **kwargs)
        else:
            self._forward([stream], content["payload"], **kwargs)

    def _receive_no_frame(self, reason, **kwargs):
        error = ValueError(f"A multiplexed message must be {reason}.")
        self.receive_invalid(error, **kwargs)

    def send(self, *args, **kwargs):
        """Raise SendNotAvailableOnDemultiplexer."""
        raise SendNotAvailableOnDemultiplexer(
            "Send with the multiplexer that the consumers of streams get."
        )

    @classmethod
    def group_send(cls, name, *args, **kwargs):
        """Raise SendNotAvailableOnDemultiplexer."""
        raise SendNotAvailableOnDemultiplexer(
            "Send to groups with the group_send() of the multiplexer's class."
        )

    @classmethod
    def methods_for(cls, channel):
        methods = super().methods_for(channel)
        for consumer in cls.consumers.values():
            methods += consumer.methods_for(channel)
        return methods

    def _forward(self, streams, payload=None, **kwargs):
        """Run the consumers of streams; the asynchronous ones after this method."""
        channel = self.message.channel.name
        for stream in streams:
            if not self.is_async(channel):
                self._run(stream, payload, **kwargs)
            elif self.consumers[stream].is_async(channel):
                self._begun.append(self._run(stream, payload, **kwargs)._running)
            else:
                run = sync_to_async(self._run)
                self._begun.append(run(stream, payload, **kwargs))

    def _run(self, stream, payload, **kwargs):
        """Return the consumer of a stream, after it dispatched the message."""
        consumer_class = self.consumers[stream]
        # Its own instance knows the stream before it is initialized, which
        # dispatches; the class, which other sockets share, stays as it is.
        consumer = consumer_class.__new__(consumer_class)
        consumer._stream = Stream(self, payload)
        multiplexer = self.multiplexer_class(stream, self.message.reply_channel)
        consumer.__init__(self.message, multiplexer=multiplexer, **kwargs)
        return consumer
