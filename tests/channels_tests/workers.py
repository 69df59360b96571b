"""A project for tests of runworker, its processes, and a layer to talk to them."""

import os
import shutil
import signal
import tempfile
import time

from django.channels.backends.ipc import IPCChannelLayer
from django.test import SimpleTestCase

from .ipc import MEMORY, require_lmdb
from .processes import PATIENCE_SECONDS, manage, start_project

SETTINGS = """
import json, os
CHANNEL_LAYERS["default"] = {
    "BACKEND": "django.channels.backends.ipc.IPCChannelLayer",
    "CONFIG": {"path": os.environ["LAYER_PATH"]},
    "ROUTING": "mysite.routing.channel_routing",
}
DATABASES = {}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django.channels": {"handlers": ["console"], "level": "DEBUG"}},
}
"""

# "results" is what the test reads, "answers" what a consumer waits for.
ROUTING = """
import asyncio, os, re, sys, threading
from django.channels import Channel, channel_layers, route
from django.channels.worker import childprocess, supervisor

# On a machine that stands still at times, processes end and are not killed.
childprocess.GRACE_SECONDS = supervisor.GIVING_BACK_SECONDS = 60.0


def tell(**content):
    Channel("results").send({"pid": os.getpid(), **content}, immediately=True)


def work(message):
    tell(n=message["n"])


def hold(message):
    tell(began=message["n"])
    channel_layers["default"].receive(["answers"], block=True, timeout=60)
    Channel("results").send({"ended": message["n"]})


async def ahold(message):
    Channel("results").send({"lost": True})
    await Channel("results").asend({"began": message["n"]}, immediately=True)
    await channel_layers["default"].areceive(["answers"], block=True, timeout=60)
    Channel("results").send({"ended": message["n"]})


def poison(message):
    tell(began=message["how"])
    eval(message["how"])


async def apoison(message):
    tell(began=message["how"])
    eval(message["how"])


def loop():
    while True:
        pass


async def loop_politely(message):
    tell(began="politely")
    while True:
        await asyncio.sleep(0)


channel_routing = [
    route("work", work),
    route("hold", hold),
    route("ahold", ahold),
    route("poison", poison),
    route("apoison", apoison),
    route("politely", loop_politely),
]
"""


class WorkersTestCase(SimpleTestCase):
    """Each test has processes of its own, and each class a project."""

    @classmethod
    def setUpClass(cls):
        require_lmdb()
        super().setUpClass()
        cls.directory = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        package = start_project(cls.directory)
        with (package / "settings.py").open("a") as file:
            file.write(SETTINGS)
        cls.routing = package / "routing.py"

    def setUp(self):
        self.routing.write_text(ROUTING)
        memory = MEMORY if os.access(MEMORY, os.W_OK) else None
        self.path = tempfile.mkdtemp(dir=memory)
        self.addCleanup(shutil.rmtree, self.path, ignore_errors=True)
        self.layer = IPCChannelLayer(path=self.path, capacity=1000)
        self.addCleanup(self.layer.close)

    def environ(self, **variables):
        """Return the variables that the project needs."""
        return {
            "LAYER_PATH": self.path,
            "PYTHONDONTWRITEBYTECODE": "1",
            **variables,
        }

    def start(self, *args, **variables):
        """Return a process of runworker, once its workers are ready."""
        environ = self.environ(**variables)
        process = manage(self.directory, "runworker", *args, env=environ)
        self.addCleanup(process.kill)
        process.wait_for_line("Running worker against channel layer default")
        return process

    def send(self, channel, *contents):
        for content in contents:
            self.layer.send(channel, content)

    def send_numbers(self, channel, count):
        self.send(channel, *({"n": number} for number in range(count)))

    def result(self):
        """Return what a consumer tells next."""
        _, message = self.layer.receive(
            ["results"], block=True, timeout=PATIENCE_SECONDS
        )
        self.assertIsNotNone(message, "No consumer told anything in time.")
        return message

    def results(self, count):
        return [self.result() for _ in range(count)]

    def numbers(self, count):
        """Return the numbers of the next messages that were consumed, sorted."""
        return sorted(result["n"] for result in self.results(count))

    def assertNothingMore(self):
        self.assertEqual(self.layer.receive(["results"]), (None, None))

    def pending(self, channel):
        return self.layer.statistics(channel)["messages_pending"]

    def wait_for(self, condition, what):
        """Return when ``condition()`` is true; it is asked again and again."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() >= deadline:
                self.fail(f"Not in time: {what}.")
            # Also ends as soon as a result comes.
            self.layer.receive(["never"], block=True, timeout=0.02)

    def assertEnds(self, process, code=0, signum=signal.SIGTERM):
        process.send_signal(signum)
        self.assertEqual(process.wait(), code, process.output)
