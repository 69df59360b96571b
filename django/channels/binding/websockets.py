"""
Bindings to streams of sockets.

In: payloads of a stream, by the consumer that a WebsocketDemultiplexer has for it.
Out: payloads on the stream of every socket in a group.
"""

import json

from django.channels.binding.base import Binding
from django.channels.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketMultiplexer,
)
from django.core import serializers
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.functional import classproperty

__all__ = ["WebsocketBinding", "WebsocketBindingWithMembers"]


class WebsocketBinding(Binding):
    """
    A binding to a ``stream`` of sockets.

    A WebsocketDemultiplexer has its ``consumer`` for that stream. Payloads are
    {"action": …, "pk": …, "data": {field: value}, "model": …}; those from clients
    need no model. ``strict_ordering`` decorates the consumer; ``slight_ordering``
    is always given.
    """

    strict_ordering = False
    slight_ordering = False

    def __init_subclass__(cls, **kwargs):
        if cls.model is not None and not cls.stream:
            raise ImproperlyConfigured(f"{cls.__qualname__} must set stream.")
        super().__init_subclass__(**kwargs)

    @classproperty
    def consumer(cls):
        """The consumer class of the stream."""
        if "_consumer" not in cls.__dict__:
            cls._consumer = _make_consumer(cls)
        return cls._consumer

    @classproperty
    def model_label(cls):
        """What payloads call the model, as "app.model"."""
        return cls.model._meta.label_lower

    @classmethod
    def encode(cls, stream, payload):
        return WebsocketMultiplexer.encode(stream, payload)

    def serialize(self, instance, action):
        return {
            "action": action,
            "pk": instance.pk,
            "data": self.serialize_data(instance),
            "model": self.model_label,
        }

    def serialize_data(self, instance):
        """Return {field: value} of what clients see of an instance."""
        names = [
            field.name
            for field in (*instance._meta.fields, *instance._meta.many_to_many)
            if self.has_field(field.name)
        ]
        return serializers.serialize("python", [instance], fields=names)[0]["fields"]

    @classmethod
    def trigger_inbound(cls, message, **kwargs):
        """
        Do what a client asks for, if it may. See Binding.trigger_inbound().

        ``content`` among the arguments is the payload, that of the message by
        default. Messages that say that a socket begins or ends are ignored.
        """
        if message.channel.name == "websocket.receive":
            if "content" not in kwargs:
                kwargs["content"] = json.loads(message["text"])
            super().trigger_inbound(message, **kwargs)

    def deserialize(self, message):
        payload = self.kwargs["content"]
        if not isinstance(payload, dict):
            raise ValidationError("A payload must be an object.")
        data = payload.get("data")
        if data is not None and not isinstance(data, dict):
            raise ValidationError("The data of a payload must be an object.")
        return payload.get("action"), payload.get("pk"), data or {}


class WebsocketBindingWithMembers(WebsocketBinding):
    """
    A WebsocketBinding that sends properties and results of methods, too.

    ``send_members`` has their names; with dots, they lead to members of members,
    and their keys have ``__`` in place of the dots.
    """

    send_members = []

    def serialize_data(self, instance):
        data = super().serialize_data(instance)
        for path in self.send_members:
            member = instance
            for name in path.split("."):
                member = getattr(member, name)
            data[path.replace(".", "__")] = member() if callable(member) else member
        # As clients will see it, and not later than now.
        return json.loads(json.dumps(data, cls=DjangoJSONEncoder))


def _make_consumer(binding):
    """Return the consumer class for the stream of a binding."""

    class BindingConsumer(JsonWebsocketConsumer):
        """Hands what a client sends on a stream to a binding."""

        channel_session_user = binding.channel_session_user
        channel_session = binding.channel_session
        strict_ordering = binding.strict_ordering
        slight_ordering = binding.slight_ordering

        def receive(self, content, multiplexer=None, **kwargs):
            binding.trigger_inbound(self.message, content=content, **kwargs)

        def get_decorators(self):
            # The demultiplexer has run its own already, around this.
            return [] if hasattr(self.message, "user") else super().get_decorators()

    return BindingConsumer
