"""
What serves in the benchmarks of the bus: a server, and workers behind Redis.

start() starts it all and returns a function that loads it for one turn.
"""

import json
import os
import subprocess
from dataclasses import dataclass

from .layers_comparison import LayerComparison
from .servers import Server
from .sides import PROJECT, WORK, Side

UVICORN = ["uvicorn", "--port={port}", "--log-level=warning", "--no-access-log"]
DAPHNE = ["daphne", "--bind=127.0.0.1", "--port={port}", "--verbosity=0"]
GUNICORN = ["gunicorn", "--workers=1", "--worker-class=sync", "--no-control-socket"]
GUNICORN += ["--bind=127.0.0.1:{port}"]
# Seconds that a worker has to end.
STOP_SECONDS = 10


class Worker:
    """A runworker process, as a context manager."""

    def __init__(self, command, env, cwd, log):
        with open(log, "wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
            )

    @property
    def pid(self):
        """The id of the process."""
        return self._process.pid

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@dataclass(frozen=True)
class Stack:
    """
    A server with so many workers, none for WSGI, and the load that it gets.

    Clients keep their connections where the server does. gunicorn's sync worker
    closes each, so that its requests are timed with the time to connect.
    """

    name: str
    side: Side
    server: list
    workers: int = 1
    connections: int = 32
    path: str = "/hello/"

    def start(self, place):
        """Return the function that measures a turn."""
        server, _ = self.serve(place)
        load = {"port": server.port, "path": self.path, "expected": "Hello, world."}
        requester = place.start(
            f"{self.name}-requester",
            "requester.py",
            json.dumps({**load, "connections": self.connections}),
        )

        def turn(seconds):
            return requester.ask("load", seconds=seconds)

        return turn

    def serve(self, place):
        """Start it; return the Server and the workers."""
        env = self.side.environ()
        if self.needs_redis:
            # Stacks share a Redis, each with channels of its own.
            env["BENCH_REDIS"] = place.service("redis").address
            env["BENCH_PREFIX"] = f"{self.slug}:"
        workers = []
        for number in range(self.workers):
            command = [self.side.environment.python, "manage.py", "runworker"]
            log = self._log(f"worker-{number}")
            worker = Worker(command, env, self.side.folder, log)
            workers.append(place.enter(worker))
        server = Server(self.command, env, self.side.folder, self._log("server"))
        return place.enter(server), workers

    @property
    def needs_redis(self):
        """Whether its processes talk to each other."""
        return self.workers > 0

    @property
    def slug(self):
        """The name as a part of others."""
        return self.name.replace(",", "").replace(" ", "-")

    @property
    def command(self):
        """What starts the server, with {port} for its port."""
        return self.side.command(*self.server, self.application)

    @property
    def application(self):
        """What the server serves."""
        application = "asgi:channel_layer" if self.workers else "wsgi:application"
        return f"{PROJECT}.{application}"

    def _log(self, what):
        folder = WORK / "logs" / "bus"
        os.makedirs(folder, exist_ok=True)
        return folder / f"{self.slug}-{self.connections}-{what}.log"


class BusComparison(LayerComparison):
    """Several stacks in turns, and what came out of it against what is promised."""

    def about(self):
        """Return what the record says of the stacks."""
        return {
            "stacks": {
                stack.name: {
                    "command": " ".join(map(str, stack.command)),
                    "workers": stack.workers,
                    "connections": stack.connections,
                    "path": stack.path,
                }
                for stack in self.variants
            }
        }
