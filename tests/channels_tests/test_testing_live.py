"""A server in a thread: what its clients see, and what it leaves."""

import threading
import unittest
from contextlib import suppress
from http.client import HTTPConnection
from importlib.util import find_spec
from socket import create_connection
from unittest import mock, skipUnless

from django.channels import Channel, Group, channel_layers, route
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, transaction
from django.http import HttpResponse
from django.test import SimpleTestCase, override_settings
from django.test.channel_tools import serving
from django.test.channels import ChannelLiveServerTestCase
from django.urls import path

from .browser import WithBrowser
from .layers import layer_settings
from .processes import PATIENCE_SECONDS
from .utils import TIMEOUT

# More than what is on its way when nobody reads.
LARGE_BYTES = 50 * 1024 * 1024

PAGE = """<!doctype html>
<title>live</title>
<script>
const socket = new WebSocket(`ws://${location.host}/users/`);
socket.onopen = () => socket.send("grace");
socket.onmessage = (event) => { document.body.innerText += event.data + ";"; };
</script>
<body></body>
"""


def page(request):
    """Return a page with a socket."""
    return HttpResponse(PAGE)


def users(request):
    """Return the names of all users."""
    names = User.objects.order_by("username").values_list("username", flat=True)
    return HttpResponse(" ".join(names))


def large(request):
    """Return more than a client takes that does not read."""
    Channel("answered").send({})
    return HttpResponse(bytes(LARGE_BYTES))


urlpatterns = [path("", page), path("users/", users), path("large/", large)]


def connect(message):
    """Tell who is there, and take part in what is said to everybody."""
    message.reply_channel.send({"accept": True})
    for user in User.objects.order_by("username"):
        message.reply_channel.send({"text": user.username})
    Group("users").add(message.reply_channel)


def receive(message):
    """Make a user, in a transaction, and have a worker tell everybody."""
    with transaction.atomic():
        user = User.objects.create(username=message["text"])
        Channel("made").send({"pk": user.pk}, on_commit=True)


async def rename(message):
    """Rename all users, and tell how many there are, asynchronously."""
    async for user in User.objects.all():
        user.username = user.username.upper()
        await user.asave()
    count = await User.objects.acount()
    await message.reply_channel.asend({"text": str(count)})


def made(message):
    """Tell everybody about a new user."""
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=message["pk"])
    Group("users").send({"text": f"new {user.username}"})


def disconnect(message):
    """Make a user, so that the end is noticed."""
    User.objects.create(username="gone")
    Channel("ended").send({}, immediately=True)


routing = [
    route("websocket.connect", connect, path="^/users/$"),
    route("websocket.receive", rename, text="^rename$"),
    route("websocket.receive", receive),
    route("websocket.disconnect", disconnect),
    route("made", made),
]


class LiveTestCase(ChannelLiveServerTestCase):
    available_apps = [
        "channels_tests",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.staticfiles",
    ]

    @classmethod
    def setUpClass(cls):
        overridden = override_settings(
            CHANNEL_LAYERS=layer_settings(routing),
            CHANNEL_LIMITS={"WEBSOCKET_HANDSHAKE_SECONDS": TIMEOUT},
            ROOT_URLCONF="channels_tests.test_testing_live",
            INSTALLED_APPS=cls.available_apps,
            STATIC_URL="/static/",
            DEBUG=False,
        )
        overridden.enable()
        cls.addClassCleanup(overridden.disable)
        super().setUpClass()

    def open(self, path="/users/"):
        """Return a socket that the end of the test closes."""
        from websockets.sync.client import connect

        url = self.live_server_ws_url + path
        socket = connect(url, proxy=None, open_timeout=TIMEOUT)
        self.addCleanup(socket.close)
        return socket

    def wait_for(self, channel):
        """Return the next message on a channel, when it comes."""
        layer = channel_layers["default"]
        return layer.receive([channel], block=True, timeout=TIMEOUT)[1]

    def get(self, path):
        """Return (status, body) of a response."""
        client = HTTPConnection(self.host, self.server_thread.port, timeout=TIMEOUT)
        self.addCleanup(client.close)
        client.request("GET", path)
        response = client.getresponse()
        return response.status, response.read()


class LiveServerMixin:
    """What holds with every server. Mix it into a LiveTestCase."""

    def test_consumers_and_views_see_the_database_of_the_test(self):
        User.objects.create(username="ada")
        self.assertEqual(self.get("/users/"), (200, b"ada"))
        self.assertEqual(self.open().recv(timeout=TIMEOUT), "ada")

    def test_the_test_sees_what_consumers_store_and_send(self):
        one, two = self.open(), self.open()
        one.send("grace")
        for socket in one, two:
            self.assertEqual(socket.recv(timeout=TIMEOUT), "new grace")
        user = User.objects.get(username="grace")
        self.assertMessageSent("made", {"pk": user.pk}, count=1)
        self.assertMessageSent(group="users", content={"text": "new grace"})

    def test_nothing_is_left_of_the_test_before(self):
        self.assertEqual(self.get("/users/"), (200, b""))

    def test_what_the_test_sends_reaches_sockets(self):
        socket = self.open()
        socket.send("grace")
        self.assertEqual(socket.recv(timeout=TIMEOUT), "new grace")
        Group("users").send({"text": "from the test"})
        self.assertEqual(socket.recv(timeout=TIMEOUT), "from the test")

    def test_the_end_of_a_socket_is_consumed(self):
        self.open().close()
        self.assertEqual(self.wait_for("ended"), {})
        self.assertIs(User.objects.filter(username="gone").exists(), True)

    def test_the_end_of_a_test_is_that_of_its_sockets(self):
        from websockets.exceptions import ConnectionClosed

        socket = self.open()
        self.server_thread.end_connections()
        self.assertMessageSent("ended", count=1)
        # 1012 by uvicorn, 1001 by Daphne.
        with self.assertRaisesMessage(ConnectionClosed, "10"):
            socket.recv(timeout=TIMEOUT)

    def test_many_sockets_use_the_database_at_the_same_time(self):
        sockets = [self.open() for _ in range(20)]
        for number, socket in enumerate(sockets):
            socket.send(f"user{number}")
        texts = {f"new user{number}" for number in range(20)}
        for socket in sockets:
            self.assertEqual({socket.recv(timeout=TIMEOUT) for _ in texts}, texts)
        self.assertEqual(User.objects.count(), 20)

    def test_coroutine_functions_use_the_database_of_the_test(self):
        User.objects.create(username="ada")
        sockets = [self.open() for _ in range(5)]
        for socket in sockets:
            self.assertEqual(socket.recv(timeout=TIMEOUT), "ada")
            socket.send("rename")
        for socket in sockets:
            self.assertEqual(socket.recv(timeout=TIMEOUT), "1")
        self.assertEqual(User.objects.get().username, "ADA")

    def test_unknown_paths_are_refused(self):
        from websockets.exceptions import InvalidStatus

        self.assertEqual(self.get("/nowhere/")[0], 404)
        with self.assertLogs("django.channels.worker", "WARNING"):
            with self.assertRaisesMessage(InvalidStatus, "HTTP 403"):
                self.open("/nowhere/")

    def test_static_files_of_apps_are_served(self):
        status, body = self.get("/static/channels_tests/live.txt")
        self.assertEqual((status, body.strip()), (200, b"A static file of the tests."))


@skipUnless(find_spec("uvicorn"), "uvicorn is not installed.")
@skipUnless(find_spec("websockets"), "websockets is not installed.")
class UvicornTests(LiveServerMixin, LiveTestCase):
    """The live server by uvicorn."""

    def test_a_client_that_does_not_read_is_gone_with_its_test(self):
        address = self.host, self.server_thread.port
        with create_connection(address, timeout=PATIENCE_SECONDS) as client:
            client.sendall(b"GET /large/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.wait_for("answered")
            self.server_thread.end_connections()
            received = 0
            with suppress(ConnectionResetError):
                while part := client.recv(1024 * 1024):
                    received += len(part)
        self.assertLess(received, LARGE_BYTES)


@skipUnless(find_spec("daphne"), "Daphne is not installed.")
@skipUnless(find_spec("websockets"), "websockets is not installed.")
class DaphneTests(LiveServerMixin, LiveTestCase):
    """The live server by Daphne."""

    @classmethod
    def setUpClass(cls):
        def find(name):
            return None if name == "uvicorn" else find_spec(name)

        patcher = mock.patch.object(serving, "find_spec", find)
        patcher.start()
        cls.addClassCleanup(patcher.stop)
        super().setUpClass()

    def test_the_server_is_daphne(self):
        client = HTTPConnection(self.host, self.server_thread.port, timeout=TIMEOUT)
        self.addCleanup(client.close)
        client.request("GET", "/users/")
        self.assertEqual(client.getresponse().getheader("Server"), "daphne")


class NoStaticFilesTests(LiveTestCase):
    serve_static = False

    def test_static_files_are_not_served_if_not_asked_for(self):
        self.assertEqual(self.get("/static/channels_tests/live.txt")[0], 404)


class BrowserLiveTests(WithBrowser, LiveTestCase):
    def test_windows_of_a_browser_have_sockets(self):
        User.objects.create(username="ada")
        window = self.browser.open(self.live_server_url)
        self.addCleanup(window.close)
        window.wait_for_texts("body", ["ada;new grace;"])
        self.assertIs(User.objects.filter(username="grace").exists(), True)


class ThreadTests(SimpleTestCase):
    databases = "__all__"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        settings = layer_settings(routing)
        overridden = override_settings(
            CHANNEL_LAYERS=settings,
            ROOT_URLCONF="channels_tests.test_testing_live",
        )
        cls.enterClassContext(overridden)

    def test_no_thread_is_left(self):
        before = set(threading.enumerate())
        server = serving.ChannelLiveServerThread("localhost", serve_static=False)
        server.start()
        self.assertIs(server.is_ready.wait(PATIENCE_SECONDS), True)
        self.assertIsNone(server.error)
        client = HTTPConnection("localhost", server.port, timeout=TIMEOUT)
        self.addCleanup(client.close)
        client.request("GET", "/nowhere/")
        self.assertEqual(client.getresponse().status, 400)
        server.terminate()
        left = [thread.name for thread in set(threading.enumerate()) - before]
        self.assertEqual(left, [])
        self.assertNotIn("create_connection", vars(connections))

    def test_what_keeps_it_from_serving_is_raised(self):
        taken = serving.ChannelLiveServerThread("localhost")
        taken.start()
        self.addCleanup(taken.terminate)
        taken.is_ready.wait(PATIENCE_SECONDS)
        server = serving.ChannelLiveServerThread("localhost", port=taken.port)
        server.start()
        server.is_ready.wait(PATIENCE_SECONDS)
        server.terminate()
        self.assertIsInstance(server.error, OSError)

    def test_a_thread_has_the_connection_that_is_shared(self):
        seen, shared = [], connections["default"]
        thread = threading.Thread(target=lambda: seen.append(connections["default"]))
        with serving.database_connections({"default": shared}):
            thread.start()
            thread.join()
        self.assertIs(seen[0], shared)

    def test_a_thread_has_its_own_connection_to_other_databases(self):
        seen = []
        thread = threading.Thread(target=lambda: seen.append(connections["other"]))
        with serving.database_connections({}):
            thread.start()
            thread.join()
            (own,) = seen
            own.connect()
        self.assertIsNot(own, connections["other"])
        self.assertEqual(own.alias, "other")
        if own.vendor != "sqlite":
            self.assertIsNone(own.connection)


class ServerTests(SimpleTestCase):
    def without(self, *names):
        """Have modules be absent, in a context."""

        def find(name):
            return None if name in names else find_spec(name)

        return mock.patch.object(serving, "find_spec", find)

    def test_the_server_is_what_is_installed(self):
        for absent, expected in (
            ([], "UvicornServer"),
            (["wsproto"], "UvicornServer"),
            (["uvicorn"], "DaphneServer"),
            (["websockets", "wsproto"], "DaphneServer"),
        ):
            with self.subTest(absent=absent), self.without(*absent):
                self.assertEqual(serving.find_server().__name__, expected)

    def test_consumers_need_a_thread(self):
        for threads in 0, -1, "2", None:
            case = type("Case", (ChannelLiveServerTestCase,), {})
            case.worker_threads = threads
            message = (
                f"Case.worker_threads must be an int of at least 1, not {threads!r}."
            )
            with self.assertRaisesMessage(ImproperlyConfigured, message):
                case.setUpClass()

    def test_a_class_is_skipped_with_the_reason(self):
        class Case(ChannelLiveServerTestCase):
            def test(self):
                raise NotImplementedError

        result = unittest.TestResult()
        with self.without("uvicorn", "daphne"):
            unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
        ((_, reason),) = result.skipped
        self.assertIn("needs Daphne, or uvicorn with websockets or wsproto", reason)
        self.assertEqual(result.errors, [])
