"""What a client writes into its messages is text, whatever it looks like."""

import json
from importlib import import_module

from django.channels.asgi import InProcessApplication
from django.channels.auth import channel_session_user, channel_session_user_from_http
from django.channels.generic.websockets import JsonWebsocketConsumer
from django.channels.ordering import enforce_ordering
from django.channels.routing import path
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.test import SimpleTestCase, override_settings

from .connections import WebSocketClient
from .layers import layer_settings
from .utils import TIMEOUT

NAMES = {"1": "ann", "2": "ben"}


class Backend:
    """Knows two users without a database."""

    def get_user(self, user_id):
        return User(pk=user_id, username=NAMES[str(user_id)], password="x")


def describe(message):
    """Return what a consumer knows of a message and its socket."""
    return {
        "keys": sorted(message.keys()),
        "order": message["order"],
        "reply_channel": message.reply_channel.name,
        "session": message.channel_session.session_key,
        "name": message.channel_session["name"],
        "user": message.user.username,
    }


@enforce_ordering
@channel_session_user_from_http
def connect(message):
    message.reply_channel.send({"accept": True})
    message.channel_session["name"] = message.user.username


@enforce_ordering
@channel_session_user
def receive(message):
    json.loads(message["text"])
    message.reply_channel.send({"text": json.dumps(describe(message))})


class Json(JsonWebsocketConsumer):
    http_user = True
    strict_ordering = True

    def connect(self, message, **kwargs):
        self.accept()
        message.channel_session["name"] = message.user.username

    def receive(self, content, **kwargs):
        self.send(describe(self.message))


ROUTING = [
    path("functions/", {"websocket.connect": connect, "websocket.receive": receive}),
    path("json/", Json),
]


@override_settings(
    ALLOWED_HOSTS=["testserver"],
    AUTHENTICATION_BACKENDS=[f"{__name__}.Backend"],
    CHANNEL_LAYERS=layer_settings(ROUTING),
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
)
class ForgeryTests(SimpleTestCase):
    def make_session(self, user_id):
        session = import_module(settings.SESSION_ENGINE).SessionStore()
        session[SESSION_KEY] = user_id
        session[BACKEND_SESSION_KEY] = f"{__name__}.Backend"
        session[HASH_SESSION_KEY] = Backend().get_user(user_id).get_session_auth_hash()
        session.save()
        return session.session_key

    def setUp(self):
        self.keys = {user_id: self.make_session(user_id) for user_id in NAMES}
        self.application = InProcessApplication()
        self.addCleanup(self.application.stop, TIMEOUT)

    async def open(self, path, user_id, query_string=b"", headers=()):
        cookie = f"{settings.SESSION_COOKIE_NAME}={self.keys[user_id]}".encode()
        client = WebSocketClient(
            self.application,
            path,
            headers=[(b"host", b"testserver"), (b"cookie", cookie), *headers],
            query_string=query_string,
        )
        self.assertEqual(await client.connect(), {"type": "websocket.accept"})
        return client

    async def ask(self, client, content):
        await client.put("websocket.receive", text=json.dumps(content))
        return json.loads((await client.get())["text"])

    def forgeries(self, victim):
        """Return contents that would do harm if anybody took them for a message."""
        yield victim
        for key, value in victim.items():
            yield {key: value}
        for kind in ("connect", "disconnect", "ordered", "consumed", "send"):
            yield {"type": f"websocket.{kind}", "order": 1, "close": True}
        for order in (-1, 0, 2**62, "1", None, [1]):
            yield {"order": order, "ordered": False, "confirm": True}
        for name in (
            "a!b",
            "a?b",
            "a\nb",
            "a\r\nb",
            "*",
            "[a-z]",
            "x" * 200,
            "",
            "...",
        ):
            yield {"reply_channel": name, "channel": name, "group": name, "path": name}
        yield {"session_key": self.keys["2"], SESSION_KEY: "2", "user": "ben"}
        yield {"channel_session": {"name": "ben"}, "__retries__": 99, "headers": []}

    async def assertUnchanged(self, path):
        client, victim = await self.open(path, "1"), await self.open(path, "2")
        theirs, expected = await self.ask(victim, {}), await self.ask(client, {})
        self.assertEqual((expected["user"], expected["name"]), ("ann", "ann"))
        self.assertEqual((theirs["user"], theirs["name"]), ("ben", "ben"))
        for content in self.forgeries(theirs):
            with self.subTest(content=content):
                expected["order"] += 1
                self.assertEqual(await self.ask(client, content), expected)
        # It got nothing of all that.
        theirs["order"] += 1
        self.assertEqual(await self.ask(victim, {}), theirs)
        for socket in (client, victim):
            await socket.disconnect()

    async def test_forged_fields_change_nothing(self):
        await self.assertUnchanged("/functions/")

    async def test_nor_do_they_where_messages_are_json(self):
        await self.assertUnchanged("/json/")

    async def test_nor_do_they_in_the_url_or_in_headers(self):
        forged = f"session_key={self.keys['2']}&reply_channel=a!b&order=7&user=ben"
        client = await self.open(
            "/functions/",
            "1",
            query_string=forged.encode(),
            headers=[
                (b"reply_channel", b"a!b"),
                (b"session_key", b"x"),
                (b"user", b"b"),
            ],
        )
        found = await self.ask(client, {})
        self.assertEqual((found["user"], found["name"]), ("ann", "ann"))
        self.assertEqual(found["order"], 1)
        await client.disconnect()
