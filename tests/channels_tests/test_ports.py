"""
Applications of earlier generations, moved as docs/topics/channels/upgrading.txt
says: what it shows is what was, but for what its tables have.

In ports/ is what was.
"""

import json
import re
import shlex
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from unittest import skipUnless

from django.test import SimpleTestCase

from . import services
from .development import Server
from .processes import PATIENCE_SECONDS, Process, manage, start_project
from .test_docs import read
from .test_servers import ServedProject
from .tutorial import read_steps

PORTS = Path(__file__).resolve().parent / "ports"
PAGE = "topics/channels/upgrading.txt"
SUFFIX = "-1x"

ROW = re.compile(r"^   \* - (.+(?:\n       .+)*)\n     - (.+(?:\n       .+)*)$", re.M)
IMPORT = re.compile(r"^(\s*(?:from|import) )channels\b")


def read_changes(title):
    """Return [(before, now), …] of a section's table, without the markup."""
    section = read(PAGE).partition(f"\n{title}\n===")[2].partition("\n===")[0]
    return [
        tuple("" if cell == "Nothing" else cell.strip("`") for cell in row)
        for row in ROW.findall(section)
        if "``" in "".join(row)
    ]


def port_line(line, changes):
    """Return a line as it is now."""
    for before, now in changes:
        if before:
            line = line.replace(before, now)
    return IMPORT.sub(r"\1django.channels", line)


def show_files(folder):
    """Return {path: content} of the files that the page shows for a folder."""
    return {
        step.path.partition("/")[2]: step.content
        for step in read_steps(read(PAGE))
        if step.path.startswith(f"{folder}/")
    }


class PageTests(SimpleTestCase):
    def test_what_is_shown_is_what_was_but_for_the_table(self):
        for folder, title in (
            ("dep_0006", "An application of 2016"),
            ("in_2015", "An application of 2015"),
        ):
            changes = read_changes(title)
            added = [now for before, now in changes if not before]
            shown = show_files(folder)
            old_files = sorted((PORTS / folder).rglob(f"*{SUFFIX}"))
            self.assertGreaterEqual(len(old_files), 2)
            for old in old_files:
                name = old.relative_to(PORTS / folder).as_posix()
                with self.subTest(file=name):
                    ported = [
                        port_line(line, changes)
                        for line in old.read_text().splitlines()
                    ]
                    lines = shown[name.removesuffix(SUFFIX)].splitlines()
                    self.assertEqual(
                        [line for line in ported if line.strip()],
                        [
                            line
                            for line in lines
                            if line.strip() and line.strip() not in added
                        ],
                    )

    def test_every_row_of_the_tables_is_needed(self):
        for folder, title in (
            ("dep_0006", "An application of 2016"),
            ("in_2015", "An application of 2015"),
        ):
            old = "".join(p.read_text() for p in (PORTS / folder).rglob(f"*{SUFFIX}"))
            new = "".join(show_files(folder).values())
            for before, now in read_changes(title):
                with self.subTest(before=before, now=now):
                    self.assertIn(before, old)
                    self.assertIn(now, new)
                    if not before:
                        self.assertNotIn(now, old)

    def test_names_of_the_first_table_are_as_they_are_said_to_be(self):
        rows = dict(read_changes("Names"))
        for before, now in rows.items():
            if before.startswith('"as'):
                with self.subTest(before=before):
                    module, _, name = now.strip('"').rpartition(".")
                    self.assertTrue(hasattr(__import__(module, {}, {}, [name]), name))


@skipUnless(
    find_spec("daphne") and find_spec("websockets"),
    "Daphne or websockets is not installed.",
)
class ServedPortTestCase(SimpleTestCase):
    """A project of the page's files, with a database."""

    folder = app = None

    def setUp(self):
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        package = start_project(self.directory, self.app)
        for name, content in show_files(self.folder).items():
            (self.directory / name).write_text(content)
        with (package / "settings.py").open("a") as settings:
            settings.write(
                f"\nfrom .settings_channels import *\n\n"
                f"INSTALLED_APPS += [{self.app!r}]\n"
                f"CHANNEL_LAYERS['default'].setdefault('CONFIG', {{}}).update(\n"
                f"    {self.get_config()!r}\n"
                f")\n"
            )
        with manage(self.directory, "migrate", "--run-syncdb") as process:
            self.assertEqual(process.wait(), 0, process.output)

    def get_config(self):
        """Return what keeps the layer apart from those of other tests."""
        return {}

    def connect(self, server, path):
        connection = server.connect(path)
        socket = connection.__enter__()
        self.addCleanup(connection.__exit__, None, None, None)
        return socket

    def assertQuiet(self, *processes):
        for process in processes:
            self.assertNotIn("Traceback", process.output)


class Dep0006Tests(ServedPortTestCase):
    """The chat of DEP 0006, with its settings, its routing and its Procfile."""

    folder, app = "dep_0006", "chat"

    def get_config(self):
        return {"prefix": f"{services.unique_name()}:"}

    def setUp(self):
        self.redis = services.redis()
        super().setUp()
        with self.open_database() as database:
            database.execute("INSERT INTO chat_room (label) VALUES ('lobby'), ('hall')")

    @contextmanager
    def open_database(self):
        """Give a connection to the database; commit and close it at the end."""
        path = self.directory / "db.sqlite3"
        with closing(sqlite3.connect(path)) as connection, connection:
            yield connection

    def start(self, name):
        """Return a process of the Procfile."""
        lines = (self.directory / "Procfile").read_text().splitlines()
        words = shlex.split(dict(line.split(": ", 1) for line in lines)[name])
        if words[0] == "python":
            args = [sys.executable, *words[1:]]
        else:
            port = words.index("--port") + 1
            self.assertEqual(words[port], "8888")
            args = [sys.executable, "-m", *words[:port], "0"]
        env = {"REDIS_URL": self.redis.url}
        process = Process(args, cwd=self.directory, env=env)
        self.addCleanup(process.kill)
        return process

    def say(self, socket, handle, text):
        socket.send(json.dumps({"handle": handle, "message": text}))

    def hear(self, socket):
        found = json.loads(socket.recv(timeout=PATIENCE_SECONDS))
        return found["handle"], found["message"]

    def test_two_browsers_chat(self):
        web, worker = self.start("web"), self.start("worker")
        server = ServedProject(web, r"Listening on TCP address 127\.0\.0\.1:(\d+)")
        worker.wait_for_line("Running worker")
        one, two, other = (
            self.connect(server, f"/chat/{room}/")
            for room in ("lobby", "lobby", "hall")
        )
        # What one hears of itself tells that it is in its room.
        for socket, handle in ((two, "b"), (other, "c")):
            self.say(socket, handle, "here")
            self.assertEqual(self.hear(socket), (handle, "here"))
        self.say(one, "a", "ä")
        while self.hear(one) != ("a", "ä"):
            pass
        self.assertEqual(self.hear(two), ("a", "ä"))
        one.close()
        self.say(two, "b", "bye")
        self.assertEqual(self.hear(two), ("b", "bye"))
        self.say(other, "c", "bye")
        self.assertEqual(self.hear(other), ("c", "bye"))
        with self.open_database() as database:
            said = database.execute("SELECT message FROM chat_message").fetchall()
        self.assertCountEqual(said, [("here",), ("here",), ("ä",), ("bye",), ("bye",)])
        self.assertQuiet(web, worker)


class In2015Tests(ServedPortTestCase):
    """The chat of the first documents, on a layer in the database."""

    folder, app = "in_2015", "talk"

    def test_two_browsers_chat(self):
        process = manage(self.directory, "runserver", "127.0.0.1:0", "--noreload")
        self.addCleanup(process.kill)
        server = Server(process, "127.0.0.1")
        one, two = (self.connect(server, "/lobby/") for _ in range(2))
        other = self.connect(server, "/hall/")
        for socket in two, other:
            socket.send("here")
            self.assertEqual(socket.recv(timeout=PATIENCE_SECONDS), "here")
        one.send("ä")
        while one.recv(timeout=PATIENCE_SECONDS) != "ä":
            pass
        self.assertEqual(two.recv(timeout=PATIENCE_SECONDS), "ä")
        other.send("bye")
        self.assertEqual(other.recv(timeout=PATIENCE_SECONDS), "bye")
        self.assertQuiet(process)
