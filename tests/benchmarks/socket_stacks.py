"""
What serves sockets in the benchmarks of the bus, and the loads that it gets.

A stack without workers is a peer's, or bare; it serves its sockets itself.
"""

from dataclasses import dataclass, field
from pathlib import Path

from .bus_stacks import UVICORN, Stack
from .layers_processes import descendants
from .loader import Loader
from .servers import process_cpu_seconds
from .sides import PROJECT, SITES

CHANNELS = f"{PROJECT}.sockets:application"
BARE = "bare:application"
# Finds the application without Django.
BARE_UVICORN = [*UVICORN, f"--app-dir={SITES / 'bare'}"]
MEGABYTE = 2**20


@dataclass(frozen=True)
class SocketStack(Stack):
    """A server of sockets; ``serves`` is its application if it has no workers."""

    load: str = "echo"
    # What else the load is told.
    load_options: dict = field(default_factory=dict)
    serves: str = CHANNELS

    @property
    def application(self):
        """What the server serves."""
        return super().application if self.workers else self.serves

    @property
    def needs_redis(self):
        """Whether its processes talk to each other, as if there were several."""
        return self.serves != BARE

    @property
    def slug(self):
        """The name as a part of others."""
        return f"{super().slug}-{self.load}".replace("/", "-")

    def start(self, place):
        """Return the function that measures a turn."""
        server, workers = self.serve(place)
        options = {"sockets": self.connections, "path": self.path}
        options |= self.load_options
        loader = Loader(self.side.environment, server, self.load, options)
        pids = {server.pid, *(worker.pid for worker in workers)}
        return Turns(place.enter(loader), pids).measure


class Turns:
    """The turns of one stack; ``pids`` are its server's and its workers'."""

    def __init__(self, loader, pids):
        self._loader = loader
        self._pids = pids
        # The megabytes that it used when the first turn had warmed it up.
        self._memory = None

    def measure(self, seconds):
        """Load it for so long; return what is to be recorded."""
        before = self._cpu_seconds()
        result = self._loader.load(seconds)
        cpu = self._cpu_seconds() - before
        memory = memory_of(descendants(self._pids)) / MEGABYTE
        if self._memory is None:
            self._memory = memory
        took = result["seconds"]
        return {
            "value": result["operations"] / took,
            "seconds": took,
            **{key: result[key] for key in ("p50", "p99") if key in result},
            # What a machine that others keep busy changes least.
            "µs CPU": cpu / result["operations"] * 1e6,
            "MB": memory,
            "MB grown": memory - self._memory,
            "loader CPU": result["cpu_seconds"] / took,
        }

    def _cpu_seconds(self):
        return sum(map(process_cpu_seconds, descendants(self._pids)))


def memory_of(pids):
    """Return the bytes of memory that processes use, without what is swapped."""
    return sum(map(_resident, pids))


def _resident(pid):
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0  # It has ended.
    sizes = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(sizes[0]) * 1024 if sizes else 0
