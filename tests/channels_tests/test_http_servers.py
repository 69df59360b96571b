"""
Requests that workers answer, behind servers of every kind, each a process.

And the mixed placement: gunicorn for pages, Daphne for sockets.
"""

import contextlib
import json
import socket
import struct
import sys
from http.client import HTTPConnection, IncompleteRead
from importlib.util import find_spec
from unittest import skipUnless

from django.test import tag

from . import services
from .development import RunserverTestCase
from .processes import Process, manage
from .services.waiting import wait_for
from .test_servers import ServedProject
from .utils import TIMEOUT

ROUTING = """
from django.channels import Group, route


def connect(message):
    message.reply_channel.send({"accept": True})
    Group("news").add(message.reply_channel)


def work(message):
    Group("news").send({"text": f"worked on {message['task']}"})


channel_routing = [
    route("websocket.connect", connect),
    route("work", work),
]
"""

URLS = """
import asyncio
import os
import sys

from django.channels import Channel, Group
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt


def tell(request):
    Group("news").send({"text": request.GET["text"]})
    return HttpResponse("told")


def delegate(request):
    Channel("work").send({"task": request.GET["task"]})
    return HttpResponse("delegated")


@csrf_exempt
def upload(request):
    return HttpResponse(sum(file.size for file in request.FILES.values()))


def files(request):
    # Of the worker, with what it has for uploads.
    return HttpResponse(len(os.listdir("/proc/self/fd")))


async def patient(request):
    async def parts():
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            sys.stdout.write("The wait is over.\\n")

    return StreamingHttpResponse(parts())


def endless(request):
    def parts():
        try:
            while True:
                yield b"x" * 65536
        finally:
            sys.stdout.write("The stream is closed.\\n")

    return StreamingHttpResponse(parts())


def broken(request):
    def parts():
        yield b"half"
        raise ValueError("The other half is missing.")

    return StreamingHttpResponse(parts())


urlpatterns = [
    path("tell", tell),
    path("broken", broken),
    path("delegate", delegate),
    path("upload", upload),
    path("endless", endless),
    path("files", files),
    path("patient", patient),
]
"""

BUS = """
from django.channels.wsgi import get_bus_application

application = get_bus_application()
"""

BOUNDARY = "BoUnDaRyStRiNg"
UPLOAD_BYTES = 4_000_000
# Connections that a worker may open to its store, and keep.
CONNECTIONS = 4


class BusTestCase(RunserverTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (cls.package / "routing.py").write_text(ROUTING)
        (cls.package / "urls.py").write_text(URLS)
        (cls.package / "bus.py").write_text(BUS)
        with (cls.package / "settings.py").open("a") as file:
            file.write('\nCHANNEL_LAYERS["default"].update(')
            file.write('__import__("json").loads(os.environ["LAYER"]))\n')
            file.write('os.environ.setdefault("DJANGO_SETTINGS_MODULE", __name__)\n')
        layer = {
            "BACKEND": "django.channels.backends.redis.RedisChannelLayer",
            "CONFIG": {
                "hosts": [services.redis().url],
                "prefix": f"{services.unique_name()}:",
            },
        }
        cls.env = {
            "LAYER": json.dumps(layer),
            "DJANGO_SETTINGS_MODULE": "mysite.settings",
        }

    def run_module(self, listening, *command):
        """Return a server that a module of the environment is."""
        command = [sys.executable, "-m", *command]
        process = Process(command, cwd=self.directory, env=self.env)
        self.addCleanup(process.kill)
        return ServedProject(process, listening)

    def gunicorn(self, application, *options):
        command = ["gunicorn", "--bind=127.0.0.1:0", *options, application]
        return self.run_module(r"Listening at: http://127\.0\.0\.1:(\d+)", *command)

    def daphne(self, application):
        command = ["daphne", "--port=0", "--websocket_connect_timeout=60", application]
        return self.run_module(r"Listening on TCP address 127\.0\.0\.1:(\d+)", *command)

    def uvicorn(self, application):
        command = ["uvicorn", "--port=0", application]
        listening = r"Uvicorn running on http://127\.0\.0\.1:(\d+)"
        return self.run_module(listening, *command)

    def work(self):
        process = manage(self.directory, "runworker", "--threads=2", env=self.env)
        self.addCleanup(process.kill)
        process.wait_for_line("Running worker")
        return process

    def upload(self, server):
        """Return (status, body) of the response to a file of UPLOAD_BYTES."""
        head = (
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=a; filename=a"
            f"\r\n\r\n"
        ).encode()
        body = head + b"x" * UPLOAD_BYTES + f"\r\n--{BOUNDARY}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        connection = HTTPConnection(server.host, server.port, timeout=TIMEOUT)
        try:
            connection.request("POST", "/upload", body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def assertBreaksOff(self, server):
        """A response whose view failed in the middle does not look complete."""
        connection = HTTPConnection(server.host, server.port, timeout=TIMEOUT)
        self.addCleanup(connection.close)
        connection.request("GET", "/broken")
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        with self.assertRaisesMessage(IncompleteRead, "4 bytes read"):
            response.read()

    def leave_within_a_response(self, server, path="/endless"):
        """Reset the connection when something of the response has come."""
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        with self.leaving(server, head.encode()) as client:
            self.assertTrue(client.recv(1000))

    def leave_within_an_upload(self, server):
        """Reset the connection when half of the file was sent."""
        head = (
            f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Length: {UPLOAD_BYTES * 2}\r\n\r\n"
        )
        with self.leaving(server, head.encode() + b"x" * UPLOAD_BYTES):
            pass

    @contextlib.contextmanager
    def leaving(self, server, data):
        address = (server.host, server.port)
        with socket.create_connection(address, TIMEOUT) as client:
            client.sendall(data)
            yield client
            linger = struct.pack("ii", 1, 0)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@tag("slow")
@skipUnless(find_spec("gunicorn"), "gunicorn is not installed.")
class GunicornTests(BusTestCase):
    """gunicorn puts requests onto the layer."""

    def test_workers_answer_the_requests_of_every_kind_of_its_workers(self):
        worker = self.work()
        for number, options in enumerate(
            [
                ["--workers=2", "--worker-class=sync"],
                ["--threads=4", "--worker-class=gthread", "--preload"],
            ],
            1,
        ):
            with self.subTest(options=options):
                server = self.gunicorn("mysite.bus", *options)
                self.assertEqual(server.get("/tell?text=a"), (200, b"told"))
                upload = self.upload(server)
                self.assertEqual(upload, (200, str(UPLOAD_BYTES).encode()))
                self.assertEqual(server.get("/missing")[0], 404)
                self.leave_within_a_response(server)
                worker.wait_for_line("The stream is closed", number)
                self.assertEqual(server.get("/tell?text=b"), (200, b"told"))
        self.assertQuiet(worker)


@tag("slow")
@skipUnless(find_spec("uvicorn"), "uvicorn is not installed.")
class AsgiTests(BusTestCase):
    """ASGI servers put requests onto the layer."""

    def test_nothing_is_left_of_clients_that_come_and_go(self):
        worker = self.work()
        for number, serve in enumerate([self.uvicorn, self.daphne], 1):
            with self.subTest(server=serve.__name__):
                server = serve("mysite.asgi:channel_layer")
                self.assertEqual(self.upload(server)[0], 200)
                before = int(server.get("/files")[1])
                for _ in range(2 * CONNECTIONS):
                    self.leave_within_an_upload(server)
                self.leave_within_a_response(server)
                worker.wait_for_line("The stream is closed", number)
                self.leave_within_a_response(server, "/patient")
                worker.wait_for_line("The wait is over", number)
                wait_for(
                    lambda: int(server.get("/files")[1]) <= before + CONNECTIONS,
                    "the worker has no files of those that left",
                )
                self.assertEqual(self.upload(server)[0], 200)
        self.assertQuiet(worker)


@skipUnless(find_spec("uvicorn"), "uvicorn is not installed.")
@skipUnless(find_spec("gunicorn"), "gunicorn is not installed.")
class BrokenTests(BusTestCase):
    def test_a_response_that_broke_off_does_not_look_complete(self):
        worker = self.work()
        for serve, application in (
            (self.uvicorn, "mysite.asgi:channel_layer"),
            (self.gunicorn, "mysite.bus"),
        ):
            with self.subTest(server=serve.__name__):
                server = serve(application)
                self.assertBreaksOff(server)
                server.process.wait_for_line("The response broke off")
        worker.wait_for_line("ValueError: The other half is missing.", 2)


@skipUnless(find_spec("gunicorn"), "gunicorn is not installed.")
class MixedTests(BusTestCase):
    """gunicorn serves views, Daphne serves sockets, and they share a layer."""

    def test_plain_views_send_to_groups_and_channels(self):
        self.work()
        pages = self.gunicorn("mysite.wsgi")
        for application in "channel_layer", "application":
            with self.subTest(application=application):
                sockets = self.daphne(f"mysite.asgi:{application}")
                with sockets.connect("/") as client:
                    # The consumer joined before its answer, the accept, left.
                    self.assertEqual(pages.get("/tell?text=hi"), (200, b"told"))
                    self.assertEqual(client.recv(timeout=TIMEOUT), "hi")
                    body = pages.get("/delegate?task=sums")[1]
                    self.assertEqual(body, b"delegated")
                    text = client.recv(timeout=TIMEOUT)
                    self.assertEqual(text, "worked on sums")
