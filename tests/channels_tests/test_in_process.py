from django.channels import channel_layers
from django.channels.asgi import (
    InProcessApplication,
    get_application,
    get_development_application,
)
from django.test import SimpleTestCase, override_settings

from .connections import Connection, HttpClient, WebSocketClient
from .layers import default_layer, layer_settings
from .utils import TIMEOUT

ROUTING = "channels_tests.consumers.channel_routing"


class InProcessTestCase(SimpleTestCase):
    def setUp(self):
        settings = layer_settings()
        settings["default"]["ROUTING"] = ROUTING
        overridden = override_settings(
            CHANNEL_LAYERS=settings,
            ROOT_URLCONF="channels_tests.urls",
            ALLOWED_HOSTS=["testserver"],
        )
        overridden.enable()
        self.addCleanup(overridden.disable)

    def make(self, get=InProcessApplication, **options):
        application = get(**options)
        self.addCleanup(application.stop, TIMEOUT)
        return application

    async def open(self, application, room="lobby"):
        client = WebSocketClient(application, f"/chat/{room}/")
        self.assertEqual(await client.connect(), {"type": "websocket.accept"})
        return client

    async def say(self, client, text):
        await client.put("websocket.receive", text=text)

    async def assertHears(self, client, *texts):
        for text in texts:
            event = {"type": "websocket.send", "text": text}
            self.assertEqual(await client.get(), event)


class SocketTests(InProcessTestCase):
    async def test_a_synchronous_consumer_echoes_in_order(self):
        client = await self.open(self.make())
        texts = [str(number) for number in range(200)]
        for text in texts:
            await self.say(client, text)
        await self.assertHears(client, *texts)
        await client.disconnect()

    async def test_a_group_reaches_its_members_and_no_others(self):
        application = self.make()
        one, two = await self.open(application), await self.open(application)
        other = await self.open(application, "kitchen")
        await self.say(one, "all hello")
        await self.assertHears(one, "hello")
        await self.assertHears(two, "hello")
        await self.say(other, "mine")
        await self.assertHears(other, "mine")
        await two.disconnect()
        await self.say(one, "all again")
        await self.assertHears(one, "again")
        for client in (one, other):
            await client.disconnect()

    async def test_named_channels_are_consumed_as_well(self):
        client = await self.open(self.make())
        await self.say(client, "later please")
        await self.assertHears(client, "please")
        await client.disconnect()

    async def test_a_consumer_that_raises_leaves_the_socket_open(self):
        client = await self.open(self.make())
        with self.assertLogs("django.channels.worker", "ERROR"):
            await self.say(client, "fail")
            await self.say(client, "still here")
            await self.assertHears(client, "still here")
        await client.disconnect()

    async def test_an_unknown_path_is_rejected(self):
        client = WebSocketClient(self.make(), "/nowhere/")
        with self.assertLogs("django.channels.worker", "WARNING"):
            event = await client.connect()
            await client.ended()
        self.assertEqual(event, {"type": "websocket.close", "code": 1008})

    async def test_nothing_is_left_of_a_socket(self):
        application = self.make()
        client = await self.open(application)
        await client.disconnect()
        self.assertIs(application.stop(TIMEOUT), True)
        layer = channel_layers["default"]
        self.assertEqual(layer.statistics()["messages_pending"], 0)
        layer.send_group("room-lobby", {"text": "anyone?"})
        self.assertEqual(layer.statistics()["messages_pending"], 0)


class HttpTests(InProcessTestCase):
    headers = [(b"host", b"testserver")]

    async def test_get_application_serves_views_and_sockets(self):
        application = self.make(get_application)
        client = HttpClient(application, "/hello/", headers=self.headers)
        status, _, body = await client.request()
        self.assertEqual((status, body), (200, b"hello"))
        client = await self.open(application)
        await self.say(client, "hi")
        await self.assertHears(client, "hi")
        await client.disconnect()

    async def test_the_development_application_serves_views_by_consumers(self):
        application = self.make(get_development_application)
        for path, expected in (
            ("/hello/", b"hello"),
            ("/async/", b"async"),
            ("/streaming/", b"0123456789"),
            ("/async-streaming/", b"0123456789"),
        ):
            with self.subTest(path=path):
                client = HttpClient(application, path, headers=self.headers)
                status, _, body = await client.request()
                self.assertEqual((status, body), (200, expected))

    async def test_a_large_body_passes_through(self):
        application = self.make(get_development_application)
        body = b"x" * 10_000_000
        client = HttpClient(application, "/read/", "POST", headers=self.headers)
        for start in range(0, len(body), 65536):
            more = start + 65536 < len(body)
            part = body[start : start + 65536]
            await client.put("http.request", body=part, more_body=more)
        status, _, content = await client.response()
        self.assertEqual((status, content), (200, b"10000000"))

    async def test_a_client_that_leaves_ends_an_endless_response(self):
        import threading

        from . import views

        views.endless.closed = threading.Event()
        application = self.make(get_development_application)
        client = HttpClient(application, "/endless/", headers=self.headers)
        await client.put("http.request")
        self.assertEqual((await client.get())["status"], 200)
        await client.put("http.disconnect")
        await client.ended()
        self.assertIs(application.stop(TIMEOUT), True)
        self.assertTrue(views.endless.closed.is_set())


class StoppingTests(InProcessTestCase):
    async def test_nothing_starts_before_the_first_connection(self):
        application = self.make()
        self.assertIsNone(application._pid)
        self.assertIs(application.stop(0), True)

    async def test_a_server_may_begin_again_after_it_told_of_its_end(self):
        application = self.make()
        for _ in range(2):
            lifespan = Connection(application, "lifespan")
            await lifespan.put("lifespan.startup")
            await lifespan.get()
            self.assertIsNone(application._pid)
            client = await self.open(application)
            await self.say(client, "hi")
            await self.assertHears(client, "hi")
            await lifespan.put("lifespan.shutdown")
            await lifespan.get()
            self.assertIsNone(application._pid)
            await client.disconnect()

    def test_limits_of_its_own_hold_for_its_lanes(self):
        application = self.make(limits={"WEBSOCKET_PENDING_MESSAGES": 3})
        application.start()
        self.assertEqual(application._lanes._pending, 3)

    async def test_a_layer_that_spans_processes_has_workers_of_its_own(self):
        from .layers import SpanningLayer

        with default_layer(ROUTING, layer_class=SpanningLayer):
            application = self.make()
            client = await self.open(application)
            self.assertIsNone(application._workers)
            await client.disconnect()
