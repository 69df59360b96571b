"""The messages of a socket are consumed in order, whatever becomes of workers."""

import asyncio
import os
import signal
from collections import Counter

from django.test import tag
from django.utils.module_loading import import_string

from .layers import make_layer
from .processes import PATIENCE_SECONDS
from .services.waiting import wait_for
from .sites import IPC, Redis, SiteTestCase, connect

SOCKETS = 50
FRAMES = 20
KILLS = 5
THREADS = 2
# How often it is tried: a worker that is killed in the moment in which it fetches
# loses what is on its way to it.
TRIES = 4
# Frames that are answered between two kills.
BETWEEN_KILLS = 120

# One line in one write for each begin and each end: the order of the lines is the
# order in which things happened.
ROUTING = """
import os
import random
import time

from django.channels.routing import path
from django.channels.sessions import enforce_ordering

log = os.open("order.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(word, message):
    os.write(
        log, f"{word} {message['path']} {message['order']} {os.getpid()}\\n".encode()
    )


def noted(consumer):
    @enforce_ordering
    def run(message, **kwargs):
        note("begin", message)
        time.sleep(random.random() * 0.01)
        consumer(message)
        note("end", message)

    return run


@noted
def connect(message):
    # The first frame may come while this still runs.
    message.reply_channel.send({"accept": True}, immediately=True)
    time.sleep(0.01)


@noted
def receive(message):
    message.reply_channel.send({"text": f"{message['text']} {os.getpid()}"})


@noted
def disconnect(message):
    pass


channel_routing = [
    path(
        "s/<int:number>",
        {
            "websocket.connect": connect,
            "websocket.receive": receive,
            "websocket.disconnect": disconnect,
        },
    )
]
"""


class OrderTests:
    routing = ROUTING
    # What waits in the layer expires before a server gives up on it; either takes
    # longer than a machine with much else to do needs for another worker.
    limits = {"WEBSOCKET_ORDER_SECONDS": 45, "WEBSOCKET_HANDSHAKE_SECONDS": 50}

    @classmethod
    def get_layer(cls):
        layer = super().get_layer()
        layer["CONFIG"].update({"expiry": 45, "capacity": 1000})
        return layer

    def setUp(self):
        self.log = self.directory / "order.log"

    def test_order_holds_while_workers_are_killed(self):
        server = self.serve()
        self.work("--processes=3", f"--threads={THREADS}")
        self.assertTrue(any(self.keeps_what_waits(server) for _ in range(TRIES)))

    def keeps_what_waits(self, server):
        """
        Kill workers while sockets talk: all is in order, and all sockets end.

        Return whether nothing was lost but what was consumed just then.
        """
        self.log.write_bytes(b"")
        self.answered = 0
        self.killed = set()
        expired = self.statistics()["expired_count"]
        asyncio.run(self.talk(server))
        wait_for(lambda: len(self.lines("disconnect")) == SOCKETS, "all sockets end")
        begun = self.assertInOrder()
        lost = sum(FRAMES + 3 - count for count in begun.values())
        # Where nobody was there in time, on a slow machine, it expires: in the layer,
        # which counts it, and with those who fetch it just then.
        is_slow = self.statistics()["expired_count"] > expired
        return is_slow or lost <= KILLS * THREADS

    async def talk(self, server):
        sockets = await asyncio.gather(
            *(connect(server, f"/s/{number}") for number in range(SOCKETS))
        )
        self.readers = [asyncio.ensure_future(self.read(s)) for s in sockets]
        # Those of a socket come together: without order, several workers have them.
        for socket in sockets:
            for number in range(FRAMES):
                await socket.send(str(number))
        # Every kill has happened, and what was sent before it is over: this comes.
        await asyncio.wait_for(self.killing(), 2 * PATIENCE_SECONDS)
        for socket in sockets:
            await socket.send("last")
        await asyncio.wait_for(asyncio.gather(*self.readers), PATIENCE_SECONDS)
        for socket in sockets:
            await socket.close()

    async def read(self, socket):
        """Read answers until the last one; kill whom it came from now and then."""
        while True:
            text, pid = (await socket.recv()).split()
            self.answered += 1
            if text == "last":
                return
            self.kill(int(pid))

    def kill(self, pid):
        is_due = self.answered >= BETWEEN_KILLS * (len(self.killed) + 1)
        if is_due and len(self.killed) < KILLS and pid not in self.killed:
            self.killed.add(pid)
            os.kill(pid, signal.SIGKILL)

    async def killing(self):
        while len(self.killed) < KILLS:
            await asyncio.sleep(0.01)

    def lines(self, kind=None):
        """Return (word, path, order, pid) of each line; of disconnects, if asked."""
        lines = [line.split() for line in self.log.read_text().splitlines()]
        lines = [(word, path, int(n), int(pid)) for word, path, n, pid in lines]
        if kind is None:
            return lines
        # A frame may be lost with its worker, and has its number nevertheless.
        return [line for line in lines if line[0] == "end" and line[2] == FRAMES + 2]

    def assertInOrder(self):
        """
        Nothing begins before what came before has ended, or died.

        Return {path: how many have begun}.
        """
        running, seen = {}, {}
        begun = Counter()
        for word, path, order, pid in self.lines():
            if word == "begin":
                before = running.get(path)
                if before is not None:
                    self.assertIn(before, self.killed)
                self.assertGreater(order, seen.get(path, -1))
                running[path], seen[path] = pid, order
                begun[path] += 1
            else:
                self.assertEqual((running.pop(path), seen[path]), (pid, order))
        self.assertEqual(set(seen.values()), {FRAMES + 2})
        return begun

    def statistics(self):
        layer_class = import_string(self.layer["BACKEND"])
        layer = make_layer(layer_class=layer_class, **self.layer["CONFIG"])
        self.addCleanup(layer.close)
        return layer.statistics()


@tag("slow")
class RedisOrderTests(OrderTests, Redis, SiteTestCase):
    pass


@tag("slow")
class IPCOrderTests(OrderTests, IPC, SiteTestCase):
    pass
