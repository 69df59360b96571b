"""
What is compared: streams, round trips and single calls of one layer each.

start() prepares workers and returns a function that measures one turn of so many
seconds. It returns a dict: "value" is the figure, "seconds" the time it took.
"""

import shutil
import subprocess
import time
from dataclasses import dataclass, field

from lib.errors import ToolError

# What a writer puts into one batch.
BATCH = 200
# What an inbox or a channel of a stream may hold; a full one makes writers wait.
STREAM_CAPACITY = 10_000
# The layers of Channels lose what is over their capacity.
UNBOUNDED = 1_000_000
NORMAL_CHANNEL = "bench.stream"
# The commands of redis-benchmark in one run, and those on their way at once.
COMMANDS = 200_000
PIPELINE = 16


@dataclass(frozen=True)
class Layer:
    """
    A layer, and its server: None, "redis", "postgres", "sqlite" or "folder".

    A Redis can be reached by its Unix socket.
    """

    kind: str
    form: str = "sync"
    server: str = None
    options: dict = field(default_factory=dict)
    by_socket: bool = False

    def spec(self, place, name="shared"):
        """Return what a worker is told; start the server if it is not there."""
        address = None
        if self.server == "folder":
            address = str(place.folder())
        elif self.server == "sqlite":
            path = str(place.disk() / "bench.sqlite3")
            address = {"ENGINE": "django.db.backends.sqlite3", "NAME": path}
        elif self.server:
            service = place.service(self.server, name)
            address = service.socket_address if self.by_socket else service.address
        return {
            "layer": self.kind,
            "form": self.form,
            "address": address,
            "options": self.options,
        }


@dataclass(frozen=True)
class Variant:
    """A layer in one use; workers of the same ``name`` are shared."""

    name: str
    layer: Layer
    # A normal channel instead of an inbox?
    normal: bool = False
    # Whose server it uses.
    server_name: str = "shared"

    def workers(self, place, count):
        """Return the workers and the service, None if there is none."""
        spec = self.layer.spec(place, self.server_name)
        service = None
        if self.layer.server in ("redis", "postgres"):
            service = place.service(self.layer.server, self.server_name)
        return place.workers(self.name, spec, count), service

    def start(self, place):
        """Return the function that measures a turn."""
        raise NotImplementedError


@dataclass(frozen=True)
class Stream(Variant):
    """Messages of 100 bytes from one process to another, counted as received."""

    # How many messages are sent at once.
    batch: int = BATCH

    def start(self, place):
        (writer, reader), service = self.workers(place, 2)
        channel, name = reader.ask("channel", normal=self.normal and NORMAL_CHANNEL)
        parties = [writer, reader, *([service] if service else [])]

        def turn(seconds):
            before = [party.cpu_seconds() for party in parties]
            reader.tell("read", name=name)
            wrote = writer.ask(
                "write", channel=channel, seconds=seconds, size=self.batch
            )
            reader.tell("expect", count=wrote["sent"])
            read = reader.answer()
            after = [party.cpu_seconds() for party in parties]
            received = read["received"]
            taken = read["ended"] - wrote["begun"]
            cpu = [(b - a) / received * 1e6 for a, b in zip(before, after)]
            shown = dict(zip(("writer", "reader", "server"), cpu))
            return {
                "value": received / taken,
                "seconds": taken,
                "lost": 1 - received / wrote["sent"],
                **{f"{who} CPU µs": value for who, value in shown.items()},
            }

        return turn


@dataclass(frozen=True)
class RoundTrip(Variant):
    """A message to another process and the answer to it: the 50th percentile."""

    def start(self, place):
        (near, far), _ = self.workers(place, 2)
        own, inbox = near.ask("channel", normal=self.normal and "bench.near")
        channel, name = far.ask("channel", normal=self.normal and "bench.far")

        def turn(seconds):
            far.tell("pong", inbox=name)
            begun = time.monotonic()
            times = near.ask(
                "ping", channel=channel, own=own, inbox=inbox, seconds=seconds
            )
            far.answer()
            return {
                "value": times["p50"],
                "p99": times["p99"],
                "max": times["max"],
                "seconds": time.monotonic() - begun,
            }

        return turn


@dataclass(frozen=True)
class Calls(Variant):
    """One call after the other in one process; variants share the worker."""

    call: str = "sends"
    # Whose worker it is.
    worker: str = "calls"
    # How many processes do it at the same time.
    processes: int = 1

    def start(self, place):
        spec = self.layer.spec(place)
        workers = place.workers(self.worker, spec, self.processes)
        options = {}
        if self.call == "sends":
            options["channel"], _ = workers[0].ask(
                "channel", normal=self.normal and NORMAL_CHANNEL
            )
        elif self.call == "both":
            options["channel"], options["name"] = workers[0].ask("channel")

        def turn(seconds):
            for worker in workers:
                worker.tell(self.call, seconds=seconds, **options)
            results = [worker.answer() for worker in workers]
            rates = [result["count"] / result["seconds"] for result in results]
            longest = max(result["seconds"] for result in results)
            return {"value": sum(rates) / len(rates), "seconds": longest}

        return turn


@dataclass(frozen=True)
class RedisBenchmark(Variant):
    """redis-benchmark on the same server."""

    def start(self, place):
        service = place.service("redis")
        path = shutil.which("redis-benchmark")
        if path is None:
            raise ToolError("redis-benchmark is not installed (redis-tools).")
        command = [path, "-p", service.port, "-P", PIPELINE, "-n", COMMANDS]
        command += ["-d", 100, "-t", "lpush", "--csv"]

        def turn(seconds):
            before = service.cpu_seconds()
            begun = time.monotonic()
            done = subprocess.run(
                list(map(str, command)), capture_output=True, text=True, timeout=60
            )
            taken = time.monotonic() - begun
            cpu = service.cpu_seconds() - before
            service.command("UNLINK", "mylist")
            rate = float(done.stdout.splitlines()[-1].split(",")[1].strip('"'))
            return {
                "value": rate,
                "seconds": taken,
                "server CPU µs": cpu / COMMANDS * 1e6,
            }

        return turn
