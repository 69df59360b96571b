"""
The processes of a benchmark of layers: workers, servers, and their CPU.

A worker is loads/layers/worker.py with a layer of ours or of Channels; it does
what it is asked for by name. Both kinds run in the benchmarks' environment.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from lib import ROOT
from lib.errors import ToolError

from .servers import cpu_seconds_by_process, process_cpu_seconds
from .sides import WORK

LOADS = Path(__file__).parent / "loads" / "layers"
BUILD = ROOT / "build"
# Seconds that any answer may take.
PATIENCE_SECONDS = 120
# A turn is repeated, so often at the most, while other processes use more than
# this part of one core; and so many seconds of a comparison at the most.
QUIET_SHARE = 0.2
TRIES = 3
REPEATED_SECONDS = 10


class Process:
    """A process that answers a line of JSON with a line of JSON."""

    def __init__(self, command, env, log):
        self.log = Path(log)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "wb") as errors:
            self._popen = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                env=env,
            )

    @property
    def pid(self):
        """The id of the process."""
        return self._popen.pid

    def tell(self, call, **arguments):
        """Say what is to be done; if nobody hears it, answer() says why."""
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.write(json.dumps({"call": call, **arguments}) + "\n")
            self._popen.stdin.flush()

    def answer(self):
        """Return what came of it, or raise ToolError."""
        timer = threading.Timer(PATIENCE_SECONDS, self._popen.kill)
        timer.start()
        line = self._popen.stdout.readline()
        timer.cancel()
        answer = json.loads(line) if line else {"error": "there was no answer"}
        if "error" in answer:
            raise ToolError(f"{answer['error']} (see {self.log}).")
        return answer["result"]

    def ask(self, call, **arguments):
        """Have something done; return what came of it."""
        self.tell(call, **arguments)
        return self.answer()

    def cpu_seconds(self):
        """Return the CPU seconds that the process has used."""
        return process_cpu_seconds(self.pid)

    def end(self):
        """End it: its input is closed."""
        with contextlib.suppress(OSError):
            self._popen.stdin.close()
        try:
            self._popen.wait(10)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._popen.stdout.close()


class Service:
    """A server: its addresses, its version and its CPU."""

    def __init__(self, process, address, version, pid, socket_address=None):
        self.address = address
        # That of a Redis by its Unix socket.
        self.socket_address = socket_address
        self.version = version
        self.pid = pid
        self._process = process

    def cpu_seconds(self):
        """Return the CPU seconds that its processes have used."""
        return sum(map(process_cpu_seconds, descendants({self.pid})))

    @property
    def port(self):
        """The TCP port of a Redis."""
        return int(self.address.rpartition(":")[2].partition("/")[0])

    def command(self, *words):
        """Return a Redis's answer to a command that is a number or text."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(" ".join(words).encode() + b"\r\n")
            with connection.makefile("rb") as file:
                line = file.readline().decode().strip()
                if line[0] == "-":
                    raise ToolError(f"Redis says {line[1:]} to {words[0]}.")
                if line[0] != "$":
                    return line[1:]
                return file.read(int(line[1:])).decode()


class Place:
    """
    Where the variants of one comparison run, as a context manager.

    They share servers, and workers of the same name; all of it ends with it.
    """

    def __init__(self, environment, name):
        self._environment = environment
        self._logs = WORK / "logs" / "layers" / name
        self._stack = contextlib.ExitStack()
        self._services = {}
        self._workers = {}
        self._repeated_seconds = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._stack.close()

    def service(self, kind, name="shared"):
        """Return a server of that kind; one for each name."""
        if (kind, name) not in self._services:
            process = self.start(f"{kind}-{name}", "service.py", kind)
            self._services[kind, name] = Service(process, **process.answer())
        return self._services[kind, name]

    def versions(self):
        """Return the versions of the servers."""
        return sorted({service.version for service in self._services.values()})

    def folder(self):
        """Return a new folder in shared memory, or else on disk."""
        shared = Path("/dev/shm")
        parent = shared if os.access(shared, os.W_OK) else None
        path = tempfile.mkdtemp(prefix="channels-bench-", dir=parent)
        self._stack.callback(shutil.rmtree, path, ignore_errors=True)
        return Path(path)

    def disk(self):
        """Return a new folder on disk."""
        path = tempfile.mkdtemp(prefix="layers-", dir=WORK)
        self._stack.callback(shutil.rmtree, path, ignore_errors=True)
        return Path(path)

    def workers(self, name, spec, count):
        """Return so many workers; those of a name are started once."""
        if name not in self._workers:
            words = "worker.py", json.dumps(spec)
            processes = self._workers[name] = []
            for number in range(count):
                processes.append(self.start(f"{name}-{number}", *words))
                # The first one makes what is shared, like tables.
                if number == 0:
                    processes[0].answer()
            for process in processes[1:]:
                process.answer()
        return self._workers[name]

    def enter(self, context):
        """Enter a context manager; it is left at the end."""
        return self._stack.enter_context(context)

    def quietly(self, turn):
        """
        Return what a turn measured while nothing else disturbed it.

        If there is no such in a few tries, return the least disturbed one. The
        key "others" says which part of a core others used.
        """
        best = None
        for number in range(TRIES):
            one = self._watch(turn)
            if best is None or one["others"] < best["others"]:
                best = one
            if number:
                self._repeated_seconds += one["seconds"]
            if best["others"] <= QUIET_SHARE or (
                self._repeated_seconds > REPEATED_SECONDS
            ):
                break
        return best

    def _watch(self, turn):
        before = self._others()
        result = turn()
        grown = sum(
            seconds - before.get(pid, 0) for pid, seconds in self._others().items()
        )
        result["others"] = max(grown, 0.0) / result["seconds"]
        return result

    def _others(self):
        """Return the CPU seconds of all processes that are not the benchmark's."""
        ours = {os.getpid(), *(service.pid for service in self._services.values())}
        ours |= {w.pid for workers in self._workers.values() for w in workers}
        ours = descendants(ours)
        return {
            pid: seconds
            for pid, seconds in cpu_seconds_by_process().items()
            if pid not in ours
        }

    def start(self, name, script, *words):
        """Return the process of a script of loads/layers/; it ends with the place."""
        command = [self._environment.python, LOADS / script, *words]
        path = f"{BUILD}{os.pathsep}{BUILD / 'tests'}"
        env = self._environment.environ(PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1")
        log = self._logs / f"{name.replace(' ', '-').replace('/', '-')}.log"
        process = Process(command, env, log)
        self._stack.callback(process.end)
        return process


def descendants(pids):
    """
    Return the ids of processes and of all that they have started.

    Not by sessions: those of a PostgreSQL have one each.
    """
    children = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in parentheses may hold anything.
            parent = path.read_text().rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(path.parent.name))
    found, left = set(), list(pids)
    while left:
        pid = left.pop()
        if pid not in found:
            found.add(pid)
            left += children.get(pid, ())
    return found
