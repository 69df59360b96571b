from functools import partial

from django.channels import include, route, route_class
from django.channels.auth import channel_session_user_from_http, http_session_user
from django.channels.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
)
from django.channels.needs import (
    CHANNEL_SESSION,
    HTTP_SESSION,
    ORDER,
    USER,
    needs_of,
    needs_of_router,
)
from django.channels.ordering import enforce_ordering
from django.channels.routing import Router, path
from django.channels.sessions import channel_and_http_session, channel_session
from django.test import SimpleTestCase


def plain(message):
    """Need nothing."""


@channel_session
def with_session(message):
    """Need a session."""


class Methods:
    @channel_session
    def receive(self, message):
        """Need a session."""


class Session(WebsocketConsumer):
    channel_session = True


class HttpUser(WebsocketConsumer):
    http_user = True
    strict_ordering = True


class Stream(JsonWebsocketConsumer):
    channel_session_user = True


class Streams(WebsocketDemultiplexer):
    consumers = {"a": JsonWebsocketConsumer, "b": Stream}


class NeedTests(SimpleTestCase):
    def test_what_consumers_need(self):
        everything = {CHANNEL_SESSION, HTTP_SESSION, USER}
        for consumer, needs in (
            (plain, set()),
            (with_session, {CHANNEL_SESSION}),
            (f"{__name__}.with_session", {CHANNEL_SESSION}),
            ("no.such_consumer", set()),
            (partial(with_session, room="lobby"), {CHANNEL_SESSION}),
            (channel_and_http_session(plain), {CHANNEL_SESSION, HTTP_SESSION}),
            (http_session_user(plain), {HTTP_SESSION, USER}),
            (channel_session_user_from_http(plain), everything),
            (enforce_ordering(channel_session(plain)), {ORDER, CHANNEL_SESSION}),
            (enforce_ordering(slight=True)(plain), set()),
            (Methods, {CHANNEL_SESSION}),
            (Methods().receive, {CHANNEL_SESSION}),
            (WebsocketConsumer, set()),
            (Session, {CHANNEL_SESSION}),
            (HttpUser, {*everything, ORDER}),
            (Streams, {CHANNEL_SESSION, USER}),
        ):
            with self.subTest(consumer=consumer):
                self.assertEqual(needs_of(consumer), needs)

    def test_the_needs_of_a_routing_are_those_of_all_its_consumers(self):
        deep = [route("a", plain), route_class(Session, path="^/x")]
        for routing, needs in (
            ([], set()),
            ([route("a", plain)], set()),
            ({"a": with_session}, {CHANNEL_SESSION}),
            ([include([include(deep)], path="^/a")], {CHANNEL_SESSION}),
            ([path("a/", with_session)], {CHANNEL_SESSION}),
            ([path("a/", {"x": plain, "y": with_session})], {CHANNEL_SESSION}),
            ([route("a", with_session, atomic=True)], {CHANNEL_SESSION}),
        ):
            with self.subTest(routing=routing):
                router = Router(routing, with_defaults=True)
                self.assertEqual(needs_of_router(router), needs)
