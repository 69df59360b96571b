"""
What the first pages of the ``channels`` package showed, with other imports.

The port of whole applications is in test_ports.py.
"""

from importlib import import_module

from django.channels import Channel, Group, include
from django.channels.auth import channel_session_user, channel_session_user_from_http
from django.channels.handler import AsgiHandler
from django.channels.routing import route
from django.channels.sessions import channel_session, enforce_ordering
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import TestCase

from .generics import ConsumerTestCase
from .layers import default_layer


def http_consumer(message):
    response = HttpResponse("You asked for %s" % message.content["path"])
    for chunk in AsgiHandler.encode_response(response):
        message.reply_channel.send(chunk)


def ws_echo(message):
    message.reply_channel.send({"text": message.content["text"]})


@channel_session_user_from_http
def ws_add(message):
    message.reply_channel.send({"accept": True})
    Group("chat-%s" % message.user.username[0]).add(message.reply_channel)


@channel_session_user
def ws_message(message):
    Group("chat-%s" % message.user.username[0]).send({"text": message["text"]})


@channel_session_user
def ws_disconnect(message):
    Group("chat-%s" % message.user.username[0]).discard(message.reply_channel)


@enforce_ordering(slight=True)
@channel_session
def room_connect(message, room):
    message.channel_session["room"] = room
    message.reply_channel.send({"accept": True})
    Group("chat-%s" % room).add(message.reply_channel)


@enforce_ordering(slight=True)
@channel_session
def room_receive(message, room):
    Channel("chat-messages").send(
        {"room": message.channel_session["room"], "message": message["text"]}
    )


def msg_consumer(message):
    room = message.content["room"]
    Group("chat-%s" % room).send({"text": message.content["message"]})


ROOM = r"^/(?P<room>[a-zA-Z0-9_]+)/$"

chat_routing = [
    route("websocket.connect", room_connect, path=ROOM),
    route("websocket.receive", room_receive, path=ROOM),
    route("chat-messages", msg_consumer),
]


class FirstStepsTests(ConsumerTestCase, TestCase):
    def serve(self, *routing):
        self.layer = self.enterContext(default_layer(list(routing)))

    def test_a_consumer_answers_a_request(self):
        self.serve(route("http.request", f"{__name__}.http_consumer"))
        (reply,) = self.consume("http.request", method="GET", path="/a/")
        self.assertEqual(reply["status"], 200)
        self.assertEqual(reply["content"], b"You asked for /a/")

    def test_a_receive_alone_is_an_echo(self):
        self.serve(route("websocket.receive", ws_echo))
        self.assertEqual(self.connect(), [{"accept": True}])
        self.assertEqual(self.receive(text="hello"), [{"text": "hello"}])

    def test_users_chat_by_their_first_letter(self):
        self.serve(
            route("websocket.connect", ws_add),
            route("websocket.receive", ws_message),
            route("websocket.disconnect", ws_disconnect),
        )
        cookie = f"{settings.SESSION_COOKIE_NAME}={self.log_in('Ada')}"
        headers = [[b"cookie", cookie.encode()]]
        self.assertEqual(self.connect(headers=headers), [{"accept": True}])
        self.assertEqual(self.receive(text="hello"), [{"text": "hello"}])
        self.assertEqual(self.group_gets("chat-A"), [{"text": 7}])
        self.disconnect()
        self.assertEqual(self.group_gets("chat-A"), [])

    def test_a_room_of_the_path_stands_in_the_session(self):
        self.serve(include(chat_routing, path=r"^/chat"))
        path = "/chat/lobby/"
        self.assertEqual(self.connect(path=path), [{"accept": True}])
        self.assertEqual(self.receive(path=path, text="hello"), [])
        job = self.layer.receive(["chat-messages"])[1]
        self.assertEqual(job, {"room": "lobby", "message": "hello"})

    def test_a_job_tells_a_room(self):
        self.serve(*chat_routing)
        self.connect(path="/lobby/")
        job = {"room": "lobby", "message": "hello"}
        self.assertEqual(self.consume("chat-messages", **job), [{"text": "hello"}])

    def log_in(self, username):
        """Return the key of a browser's session that a user logged in with."""
        user = User.objects.create_user(username)
        session = import_module(settings.SESSION_ENGINE).SessionStore()
        session[SESSION_KEY] = user._meta.pk.value_to_string(user)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        return session.session_key
