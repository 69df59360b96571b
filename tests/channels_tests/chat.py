"""The chat of examples/chat, and clients for it."""

import json
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from unittest import skipUnless

from django.test import SimpleTestCase

from .development import Server
from .processes import PATIENCE_SECONDS, manage

# The built tree links to the repository's files.
REPOSITORY = Path(__file__).resolve().parent.parent.parent
EXAMPLE = REPOSITORY / "examples" / "chat"


class Client:
    """A page in a room, without a browser."""

    def __init__(self, socket):
        self.socket = socket

    def receive(self):
        """Return the next data that the server sends."""
        return json.loads(self.socket.recv(timeout=PATIENCE_SECONDS))

    def send(self, data):
        """Send data as JSON."""
        self.socket.send(json.dumps(data))

    def say(self, name, text):
        """Send what the page's form sends."""
        self.send({"name": name, "text": text})

    def heard(self):
        """Return [(name, text), …] of the next posts that the server sends."""
        return [(post["name"], post["text"]) for post in self.receive()["posts"]]


def serve_chat(directory, port=0, options=()):
    """Return (process, Server) of runserver in a project, once it serves."""
    process = manage(
        directory, "runserver", f"127.0.0.1:{port}", "--noreload", *options
    )
    try:
        return process, Server(process, "127.0.0.1")
    except AssertionError:
        process.kill()
        raise


@skipUnless(
    find_spec("daphne") and find_spec("websockets"),
    "Daphne or websockets is not installed.",
)
class ChatTestCase(SimpleTestCase):
    """Each class has a copy of the example, with an empty database."""

    example = EXAMPLE

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        temporary = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, temporary)
        cls.directory = cls.make_project(temporary)

    @classmethod
    def make_project(cls, temporary):
        """Return the project's directory, made in a temporary one."""
        directory = temporary / cls.example.name
        ignored = shutil.ignore_patterns("*.sqlite3*", "__pycache__")
        shutil.copytree(cls.example, directory, ignore=ignored)
        with manage(directory, "migrate") as process:
            if process.wait() != 0:
                raise AssertionError(process.output)
        return directory

    def join(self, server, room):
        """Return (client, its history) for a page that enters a room."""
        connection = server.connect(f"/chat/{room}/")
        client = Client(connection.__enter__())
        self.addCleanup(connection.__exit__, None, None, None)
        return client, client.heard()
