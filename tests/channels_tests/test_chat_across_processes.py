"""The chat of examples/chat, its server and workers each a process of their own."""

import signal
import sys
from importlib.util import find_spec
from unittest import skipUnless

from . import services
from .chat import ChatTestCase
from .processes import Process, manage
from .test_servers import ServedProject

LISTENING = r"Uvicorn running on http://127\.0\.0\.1:(\d+)"


@skipUnless(find_spec("uvicorn"), "uvicorn is not installed.")
class AcrossProcessesTestCase(ChatTestCase):
    """The server only forwards; two workers consume."""

    layer = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        settings = cls.directory / "mysite" / "settings.py"
        with settings.open("a") as file:
            file.write(f"\nCHANNEL_LAYERS['default'].update({cls.get_layer()!r})\n")

    def setUp(self):
        self.server = self.serve()
        self.workers = [self.work() for _ in range(2)]

    def serve(self):
        command = [sys.executable, "-m", "uvicorn", "--port=0"]
        process = Process([*command, "mysite.asgi:channel_layer"], self.directory)
        self.addCleanup(process.kill)
        return ServedProject(process, LISTENING)

    def work(self):
        process = manage(self.directory, "runworker", "--threads=2")
        self.addCleanup(process.kill)
        process.wait_for_line("Running worker")
        return process

    def hears(self, client, text):
        """Return when a client has heard a text, and all before it."""
        while True:
            for _, heard in client.heard():
                if heard == text:
                    return

    def assertTalking(self, clients, text):
        """Every client hears what one says."""
        clients[0].say("a", text)
        for client in clients:
            self.hears(client, text)


class WorkerTests:
    def test_a_room_goes_on_while_workers_come_and_go(self):
        clients = [self.join(self.server, "workers")[0] for _ in range(4)]
        self.assertTalking(clients, "one")
        self.workers[0].send_signal(signal.SIGKILL)
        self.assertTalking(clients, "two")
        self.work()
        self.workers[1].send_signal(signal.SIGTERM)
        self.assertEqual(self.workers[1].wait(), 0)
        self.assertTalking(clients, "three")

    def test_a_second_server_shares_the_room(self):
        clients = [self.join(self.server, "servers")[0] for _ in range(2)]
        other = self.serve()
        clients += [self.join(other, "servers")[0] for _ in range(2)]
        self.assertTalking(clients, "one")
        other.process.send_signal(signal.SIGKILL)
        self.assertTalking(clients[:2], "two")

    def test_pages_are_served(self):
        status, body = self.server.get("/")
        self.assertEqual(status, 200)
        self.assertIn(b"</html>", body)


class RedisTests(WorkerTests, AcrossProcessesTestCase):
    @classmethod
    def get_layer(cls):
        cls.redis = services.redis(own=True)
        cls.addClassCleanup(cls.redis.stop)
        return {
            "BACKEND": "django.channels.backends.redis.RedisChannelLayer",
            "CONFIG": {"hosts": [cls.redis.url]},
        }

    def test_a_room_heals_after_redis_was_killed_and_lost_everything(self):
        clients = [self.join(self.server, "healing")[0] for _ in range(3)]
        self.assertTalking(clients, "before")
        self.redis.kill()
        self.redis.restart("empty")
        self.server.process.wait_for_line("messages may be lost")
        self.assertTalking(clients, "after")


class IPCTests(WorkerTests, AcrossProcessesTestCase):
    @classmethod
    def get_layer(cls):
        return {
            "BACKEND": "django.channels.backends.ipc.IPCChannelLayer",
            "CONFIG": {"path": str(cls.directory / "layer")},
        }


class SQLiteTests(WorkerTests, AcrossProcessesTestCase):
    @classmethod
    def get_layer(cls):
        return {"BACKEND": "django.channels.backends.database.DatabaseChannelLayer"}
