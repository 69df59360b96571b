"""Sessions and users of sockets, wherever the consumers and the views run."""

from contextlib import closing
from http.client import HTTPConnection
from http.cookies import SimpleCookie

from django.test import tag

from .processes import PATIENCE_SECONDS, manage
from .services.waiting import wait_for
from .sites import IPC, Redis, SiteTestCase

CHURN = 60
CHANGES = 50
# The close code of a socket whose login ended.
UNAUTHORIZED = 3000

ROUTING = """
from django.channels.auth import channel_session_user, channel_session_user_from_http
from django.channels.routing import connect_consumer, path
from django.channels.sessions import channel_session


@channel_session_user_from_http
def connect(message):
    message.reply_channel.send({"accept": True})
    message.channel_session["heard"] = []
    message.channel_session["frames"] = 0


@channel_session_user
def receive(message):
    message.channel_session["frames"] += 1
    frames = message.channel_session["frames"]
    message.reply_channel.send({"text": f"{message.user.username}{frames}"})


@channel_session
def keep(message):
    message.channel_session[message["text"]] = True
    message.reply_channel.send({"text": str(len(message.channel_session.keys()))})


channel_routing = [
    path("s/", {"websocket.connect": connect, "websocket.receive": receive}),
    path("k/", {"websocket.connect": connect_consumer, "websocket.receive": keep}),
]
"""

URLS = """
from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.urls import path


def log_in(request, name):
    user, _ = User.objects.get_or_create(username=name)
    login(request, user)
    return HttpResponse()


def log_out(request):
    logout(request)
    return HttpResponse()


def sessions(request):
    return HttpResponse(Session.objects.count())


urlpatterns = [
    path("in/<name>", log_in), path("out", log_out), path("sessions", sessions)
]
"""

NEW_PASSWORD = """
from django.contrib.auth.models import User
user = User.objects.get(username="ann")
user.set_password("new")
user.save()
"""


class LoginTests:
    routing, urls = ROUTING, URLS

    def setUp(self):
        self.server = self.start()

    def get(self, path, cookie=""):
        """Return (body, cookie) of a response."""
        connection = HTTPConnection(self.server.host, self.server.port, timeout=30)
        with closing(connection):
            connection.request("GET", path, headers={"Cookie": cookie})
            response = connection.getresponse()
            body = response.read()
            self.assertEqual(response.status, 200, body)
            cookies = SimpleCookie(", ".join(response.msg.get_all("Set-Cookie", [])))
            return body, cookies.output(attrs=[], header="", sep=";").strip()

    def log_in(self, name):
        return self.get(f"/in/{name}")[1]

    def open(self, cookie="", path="/s/"):
        headers = {"Cookie": cookie} if cookie else {}
        connection = self.server.connect(path, additional_headers=headers)
        self.addCleanup(connection.__exit__, None, None, None)
        return connection.__enter__()

    def say(self, socket):
        socket.send("Who am I?")
        return socket.recv(timeout=PATIENCE_SECONDS)

    def assertClosed(self, socket, code=UNAUTHORIZED):
        from websockets.exceptions import ConnectionClosed

        with self.assertRaises(ConnectionClosed) as caught:
            socket.recv(timeout=PATIENCE_SECONDS)
        self.assertEqual(caught.exception.rcvd.code, code)

    def test_a_logout_ends_the_sockets_of_its_session(self):
        ann, other, ben = map(self.log_in, ["ann", "ann", "ben"])
        sockets = [self.open(c) for c in (ann, ann, other, ben, "")]
        for name, socket in zip(["ann", "ann", "ann", "ben", ""], sockets):
            self.assertEqual(self.say(socket), f"{name}1")
        self.get("/out", ann)
        for socket in sockets[:2]:
            self.assertClosed(socket)
        for name, socket in zip(["ann", "ben", ""], sockets[2:]):
            self.assertEqual(self.say(socket), f"{name}2")
            socket.close()
        # The key is of no use any more.
        socket = self.open(ann)
        self.assertEqual(self.say(socket), "1")
        socket.close()

    def test_a_login_as_somebody_else_ends_the_sockets_of_the_one_before(self):
        ann, other = self.log_in("ann"), self.log_in("ann")
        sockets = [self.open(cookie) for cookie in (ann, other)]
        for socket in sockets:
            self.assertEqual(self.say(socket), "ann1")
        self.get("/in/ben", ann)
        self.assertClosed(sockets[0])
        self.assertEqual(self.say(sockets[1]), "ann2")
        sockets[1].close()

    def test_no_session_of_a_socket_is_left(self):
        before = int(self.get("/sessions")[0])
        cookie = self.log_in("ann")
        for _ in range(3):
            sockets = [self.open(cookie) for _ in range(CHURN // 3)]
            for socket in sockets:
                self.assertEqual(self.say(socket), "ann1")
            for socket in sockets:
                socket.close()
        wait_for(
            lambda: int(self.get("/sessions")[0]) == before + 1,
            "only the login's session is left",
        )

    def test_no_change_of_a_session_is_lost(self):
        socket = self.open(path="/k/")
        for number in range(CHANGES):
            socket.send(str(number))
        # Each was stored before it was answered, and others were stored meanwhile.
        for _ in range(CHANGES):
            socket.recv(timeout=PATIENCE_SECONDS)
        socket.send("0")
        self.assertEqual(socket.recv(timeout=PATIENCE_SECONDS), str(CHANGES))


class AcrossTests(LoginTests):
    def test_a_new_password_ends_all_sockets_of_the_user(self):
        ann, other, ben = map(self.log_in, ["ann", "ann", "ben"])
        sockets = [self.open(cookie) for cookie in (ann, other, ben)]
        for name, socket in zip(["ann", "ann", "ben"], sockets):
            self.assertEqual(self.say(socket), f"{name}1")
        # A process that has nothing to do with sockets.
        env = self.get_env()
        with manage(self.directory, "shell", "-c", NEW_PASSWORD, env=env) as process:
            self.assertEqual(process.wait(), 0, process.output)
        for socket in sockets[:2]:
            self.assertClosed(socket)
        self.assertEqual(self.say(sockets[2]), "ben2")
        sockets[2].close()


@tag("slow")
class InProcessTests(LoginTests, SiteTestCase):
    """Consumers, views and sockets in one process, on the memory layer."""

    @classmethod
    def get_layer(cls):
        return {}

    def start(self):
        return self.serve("application")


@tag("slow")
class InServerTests(AcrossTests, IPC, SiteTestCase):
    """Consumers and views in the server; the layer only connects processes."""

    def start(self):
        return self.serve("application")


@tag("slow")
class BusTests(AcrossTests, Redis, SiteTestCase):
    """Consumers and views in workers, on a layer."""

    def start(self):
        self.work("--processes=2", "--threads=2")
        return self.serve()
