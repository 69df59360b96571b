"""The bus placement: a server that only forwards, and workers that consume."""

import signal
import threading

from django.channels import channel_layers, signals
from django.channels.interface.application import get_bus_application
from django.channels.worker import WorkerGroup
from django.test import override_settings

from .connections import HttpClient
from .development import RunserverTestCase
from .layers import SpanningLayer, make_layer
from .processes import manage
from .test_in_process import ROUTING, InProcessTestCase
from .utils import TIMEOUT


@override_settings(ROOT_URLCONF="channels_tests.urls", ALLOWED_HOSTS=["testserver"])
class BusTests(InProcessTestCase):
    """Server and workers share a process here, and nothing but the layer."""

    def setUp(self):
        super().setUp()
        self.layer = make_layer(ROUTING, layer_class=SpanningLayer)
        channel_layers.set("default", self.layer)
        self.application = get_bus_application(self.layer)
        self.workers = WorkerGroup(self.layer, n_threads=2)
        self.workers.start()
        self.addCleanup(self.workers.stop, TIMEOUT)

    async def test_sockets_are_served(self):
        one, two = await self.open(self.application), await self.open(self.application)
        await self.say(one, "hi")
        await self.assertHears(one, "hi")
        await self.say(two, "all hello")
        for client in (one, two):
            await self.assertHears(client, "hello")
        for client in (one, two):
            await client.disconnect()

    async def test_views_are_served(self):
        headers = [(b"host", b"testserver")]
        for path, method, body, expected in (
            ("/hello/", "GET", b"", b"hello"),
            ("/read/", "POST", b"x" * 5_000_000, b"5000000"),
            ("/streaming/", "GET", b"", b"0123456789"),
        ):
            with self.subTest(path=path):
                client = HttpClient(self.application, path, method, headers=headers)
                self.assertEqual((await client.request(body))[::2], (200, expected))

    async def test_sockets_that_a_server_leaves_behind_are_disconnected(self):
        client = await self.open(self.application)
        finished = threading.Event()

        def receiver(**kwargs):
            finished.set()

        signals.consumer_finished.connect(receiver)
        self.addCleanup(signals.consumer_finished.disconnect, receiver)
        self.application.leave_sockets()
        self.application.leave_sockets()
        self.assertTrue(finished.wait(TIMEOUT))
        self.assertEqual(
            self.layer.statistics("websocket.disconnect")["messages_count"], 1
        )
        await client.disconnect()
        self.assertEqual(
            self.layer.statistics("websocket.disconnect")["messages_count"], 1
        )


class RunworkerProcessTests(RunserverTestCase):
    def test_a_signal_ends_it_in_order(self):
        for signum in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=signum):
                environ = {"SPANNING_LAYER": "1"}
                process = manage(self.directory, "runworker", env=environ)
                self.addCleanup(process.kill)
                process.wait_for_line(
                    r"Running worker against channel layer default \(mysite\.layers"
                )
                process.send_signal(signum)
                self.assertEqual(process.wait(TIMEOUT), 0)
                self.assertQuiet(process)
