"""
The conductor of a ledger: starts programs and roles, breaks things, waits.

In: a test. Out: program.py's processes, their journals and, from these, Books.
All waiting is for what the journals say.
"""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from ..processes import PATIENCE_SECONDS, ROOT
from ..services.reaping import reaper
from ..services.waiting import NotInTime, wait_for
from .books import Books
from .journal import Tail, now


class Program:
    """A process with a layer, which plays roles until it is killed."""

    def __init__(self, ledger, name, environ):
        self.name = name
        self.alive = True
        self._ledger = ledger
        pipe = reaper.pipe()
        with open(ledger.folder / "output", "ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "channels_tests.ledger.program"]
                + [json.dumps(ledger.settings), name, str(ledger.folder)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT / "tests",
                env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
                start_new_session=True,
                preexec_fn=lambda: os.write(pipe, b"+%d\n" % os.getpid()),
            )
        reaper.servers.add(self._process)
        ledger.follow(name)

    def check(self):
        """Raise AssertionError if the process ended by itself."""
        if self.alive and self._process.poll() is not None:
            code = self._process.returncode
            raise AssertionError(f"Program {self.name} ended with code {code}.")

    def tell(self, *command):
        """Send a command."""
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def play(self, kind, name, form="sync", **options):
        """Start a role; return its name, which is in all that it notes."""
        self._ledger.follow(name)
        self._ledger.books.begins(name, self.name, kind, options)
        self.tell("play", kind, name, form, options)
        return name

    def send_signal(self, signum):
        """Send a signal to the process."""
        self._process.send_signal(signum)

    def pause(self):
        """Stop the process for a while, as SIGSTOP does."""
        self._ledger.books.pauses(self.name, now())
        self.send_signal(signal.SIGSTOP)

    def resume(self):
        """Let the process go on."""
        self.send_signal(signal.SIGCONT)
        self._ledger.books.resumes(self.name, now())

    def kill(self):
        """End the process as ``kill -9`` does."""
        if not self.alive:
            return
        self.alive = False
        self._ledger.books.kills(self.name, now())
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        reaper.tell(f"-{self._process.pid}")
        reaper.servers.discard(self._process)

    @property
    def cpu_seconds(self):
        """The seconds of processor that the process has used."""
        with open(f"/proc/{self._process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Ledger:
    """
    Programs on one layer, and the books of what they did.

    ``backend`` and ``config`` are those of CHANNEL_LAYERS, ``databases`` is
    DATABASES. ``environ`` are variables for all programs.
    """

    def __init__(self, backend, config=None, databases=None, environ=None):
        layer = {"BACKEND": backend, "ROUTING": [], "CONFIG": config or {}}
        self.settings = {
            "CHANNEL_LAYERS": {"default": layer},
            "DATABASES": databases or {},
        }
        self.environ = environ or {}
        self.books = Books()
        self.programs = []
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-"))
        self._tails = {}
        self._numbers = itertools.count(1)
        reaper.tell(str(self.folder))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        for program in self.programs:
            program.kill()
        if error is not None:
            output = self.output.strip()
            if output and hasattr(error, "add_note"):
                error.add_note(f"The programs wrote:\n{output[-5000:]}")
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def output(self):
        """What the programs wrote besides their journals."""
        return (self.folder / "output").read_text(errors="replace")

    def program(self, **environ):
        """Start a program and return it when it is ready."""
        (program,) = self.start(1, **environ)
        return program

    def start(self, count, **environ):
        """Start several programs and return them when they are ready."""
        programs = [
            Program(self, f"p{next(self._numbers)}", {**self.environ, **environ})
            for _ in range(count)
        ]
        self.programs += programs
        names = {program.name for program in programs}
        self.wait(lambda books: names <= books.ready, "the programs are ready")
        return programs

    def follow(self, name):
        """Read the journal of a program or role from now on."""
        self._tails[name] = Tail(self.folder / name)

    def read(self):
        """Bring the books up to date, and return them."""
        for name, tail in list(self._tails.items()):
            for event in tail.events():
                self.books.enter(name, *event)
        return self.books

    # Waiting.

    def wait(self, condition, what, seconds=PATIENCE_SECONDS):
        """Wait until ``condition(books)`` is true."""

        def is_true():
            books = self.read()
            books.check()
            for program in self.programs:
                program.check()
            return condition(books)

        try:
            wait_for(is_true, what, seconds)
        except NotInTime as error:
            raise NotInTime(f"{error} {self.books.summary()}") from error
        except AssertionError as error:
            raise AssertionError(f"{error} {self.books.summary()}") from error

    def progress(self, count):
        """Wait until that many more messages were received."""
        goal = self.read().count_received() + count
        self.wait(lambda books: books.count_received() >= goal, f"{count} more come")

    def try_progress(self, count, seconds):
        """Return whether so many more messages were received, within a time."""
        goal = self.read().count_received() + count
        return self.try_wait(lambda books: books.count_received() >= goal, seconds)

    def try_wait(self, condition, seconds):
        """Return whether ``condition(books)`` becomes true within a time."""
        try:
            self.wait(condition, "tried", seconds)
        except NotInTime:
            return False
        return True

    def members_ready(self, *names):
        """Wait until the steady members of roles are in their groups."""
        self.wait(lambda books: books.owners >= set(names), f"{names} own their inbox")

    def reaches(self, since, *names):
        """Wait until each of these members has a group message sent after a time."""
        self.wait(
            lambda books: all(books.heard(name, since) for name in names),
            f"group messages reach {names}",
        )

    def finish(self):
        """
        Wait until writers, those without a count told to stop, and readers are through.

        A reader is through when it looked after the last send and there was nothing.
        """
        books = self.read()
        self._stop(books.endless(), "the writers are told")
        writers = set(books.living("writer"))
        self.wait(lambda books: writers <= books.ended, "the writers end")
        self.wait(lambda books: not books.joining(), "members are where they go")
        last = now()
        readers = set(books.living("reader", "member"))
        self.wait(
            lambda books: books.looked_after(last) >= readers,
            f"{', '.join(sorted(readers))} have read all",
        )

    @contextmanager
    def broken(self, cuts=0):
        """Note that, in this block, the store is not as it was."""
        begun = now()
        yield
        self.books.broken.append((begun, now()))
        self.books.cuts += cuts

    def statistics(self):
        """
        Return the statistics of the layer, as the last living program sees them.

        The others are asked before it, because each brings its part in by that.
        """
        for program in self.programs:
            if program.alive:
                number = next(self._numbers)
                program.tell("count", number, self.books.queues())
                self.wait(lambda books: number in books.statistics, "statistics")
        return self.books.statistics[number]

    def close(self, program):
        """Have roles of a program end, and its layer closed."""
        self._stop(self.read().roles_of(program.name), "the roles end")
        program.tell("close")
        self.wait(lambda books: program.name in books.closed, "the layer closes")

    def _stop(self, names, what):
        programs = {program.name: program for program in self.programs}
        for name in names:
            program = programs[self.books.program_of(name)]
            if program.alive:
                program.tell("stop", name)
        self.wait(lambda books: set(names) <= books.ended | books.gone(), what)
