"""
A server process of a test: start it, wait until it answers, end it for certain.

In: redis_alone.py, postgresql.py and the like, which say what to run and how to ask it.
Out: a process that the reaper ends when this one is gone.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from unittest import SkipTest

from ..processes import PATIENCE_SECONDS
from .reaper import descendants
from .reaping import reaper

# Where servers of system packages are, which a user's PATH may lack.
ADMINISTRATOR_PATH = "/usr/local/sbin:/usr/sbin:/sbin"

# Ports below those that the system gives to clients: nobody takes one of them
# while its server is down. Cluster buses have them 10,000 higher.
PORTS = range(10240, 22000)
BUS_OFFSET = 10000

# Seconds between two questions whether a server answers.
ASK_SECONDS = 0.01


class NotInstalled(SkipTest):
    """Raised when a server that a test needs is not on this machine."""


def not_installed(what):
    """Return the error for a server that is missing; it fails where CI is set."""
    reason = f"Not installed: {what}."
    if os.environ.get("CI", "").lower() in ("1", "true"):
        return AssertionError(reason)
    return NotInstalled(reason)


def find_command(name):
    """Return the path of a command, also if only administrators have it on PATH."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(name, path=f"{path}{os.pathsep}{ADMINISTRATOR_PATH}")


def free_port():
    """Return a port that nobody listens on, nor on the cluster bus's next to it."""
    while True:
        port = random.choice(PORTS)
        try:
            for number in (port, port + BUS_OFFSET):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port


def passable(path):
    """Return whether every user may go to a path."""
    return all(folder.stat().st_mode & 0o001 for folder in Path(path).parents)


class Server:
    """
    A server, and a folder of its own, from start() to stop().

    Subclasses say what to run and when it answers. restart() starts it with the
    same data, with none, or with that of a snapshot(), at the same address.
    """

    # What a test that cannot have it is told to install.
    package = None
    # Who runs it, if that cannot be root.
    user = None
    # What ends it as an administrator does.
    end_signal = signal.SIGTERM

    def __init__(self):
        self.folder = None
        self.process = None
        self._owner = os.getpid()

    # What subclasses define.

    def find(self):
        """Return the path of the program, or None if there is none."""
        raise NotImplementedError

    def prepare(self):
        """Make in the folder what the server needs for its first start."""

    def command(self):
        """Return the words that start the server in the foreground."""
        raise NotImplementedError

    def ask(self):
        """Return if the server answers, otherwise raise an exception."""
        raise NotImplementedError

    def erase(self):
        """Delete the data while the server is down."""
        raise NotImplementedError

    # What tests call.

    @property
    def running(self):
        """Has it been started and not ended?"""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        """The id of the process, and of its group."""
        return self.process.pid

    @property
    def log(self):
        """What the server wrote."""
        return (self.folder / "server.log").read_text(errors="replace")

    def start(self):
        """Start the server and return it when it answers."""
        if self.folder is None:
            if not self.find():
                raise not_installed(self.package)
            self.folder = self._make_folder()
            self.prepare()
        deadline = time.monotonic() + PATIENCE_SECONDS
        self._launch()
        while error := self._refusal():
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(
                    f"{self.package} does not answer: {error!r}. It wrote:\n{self.log}"
                )
            if not self.running:  # Its address or data is not free yet.
                self._forget()
                self._launch()
        return self

    def stop(self):
        """End the server and delete its folder; stopping twice is stopping once."""
        if self.folder is not None and self._owner == os.getpid():
            self.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def kill(self):
        """End the server as ``kill -9`` does, and what it has started."""
        if self.running:
            self._end(signal.SIGKILL)

    def terminate(self):
        """End the server as an administrator does: what it keeps is kept."""
        if self.running:
            self.resume()
            self._end(self.end_signal)

    def pause(self):
        """Stop the server for a while: it takes connections and does not answer."""
        self.signal(signal.SIGSTOP)

    def resume(self):
        """Let the server go on after pause()."""
        if self.running:
            self.signal(signal.SIGCONT)

    def signal(self, signum):
        """Send a signal to the server and all that it started."""
        for pid in (self.pid, *descendants(self.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)

    def restart(self, data="same"):
        """Start again, with the ``"same"`` data, ``"empty"`` or a snapshot()'s."""
        if data == "same":
            self.terminate()
        else:
            self.kill()
            self.erase()
            if data != "empty":
                self.restore(data)
        return self.start()

    def snapshot(self):
        """Return the folder or file of a copy of the data as it is now."""
        raise NotImplementedError

    def restore(self, snapshot):
        """Put the data of a snapshot in place while the server is down."""
        raise NotImplementedError

    # Helpers.

    def run(self, *command):
        """Run a program as the server's user; raise AssertionError if it fails."""
        done = subprocess.run(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            **self._identity(),
        )
        if done.returncode:
            output = done.stdout.decode(errors="replace")
            raise AssertionError(f"{command[0]} failed:\n{output}")

    def _identity(self):
        """Return how to start a process that root may not run."""
        if not self.user or os.geteuid() != 0:
            return {}
        return {"user": self.user, "group": self.user_group(), "extra_groups": []}

    def user_group(self):
        """Return the id of the group of the server's user."""
        import pwd

        return pwd.getpwnam(self.user).pw_gid

    def _make_folder(self):
        places = [tempfile.gettempdir()]
        identity = self._identity()
        if identity and not passable(Path(places[0], "any")):
            places = ["/tmp", "/var/tmp"]
        folder = tempfile.mkdtemp(prefix="channels-", dir=places[0])
        reaper.tell(folder)
        if identity:
            shutil.chown(folder, self.user, identity["group"])
        return Path(folder)

    def _launch(self):
        pipe = reaper.pipe()

        def enlist():  # In the child, so that no instant is left out.
            os.write(pipe, b"+%d\n" % os.getpid())

        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                list(map(str, self.command())),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=enlist,
                **self._identity(),
            )
        reaper.servers.add(self.process)

    def _refusal(self):
        """Return why the server does not answer, or None, after a little while."""
        try:
            self.ask()
        except Exception as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(ASK_SECONDS)
            return error

    def _end(self, signum):
        try:
            if signum == signal.SIGKILL:
                self.signal(signum)
            else:
                os.kill(self.pid, signum)
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait()
        self._forget()

    def _forget(self):
        reaper.tell(f"-{self.pid}")
        reaper.servers.discard(self.process)
        self.process = None
