"""docs/intro/channels.txt, word for word."""

import ast
import re
from functools import partial
from textwrap import dedent

from django.test import SimpleTestCase

from .chat import EXAMPLE, REPOSITORY, ChatTestCase, serve_chat
from .processes import Process, manage
from .services.waiting import wait_for
from .tutorial import BLOCK, TUTORIAL, File, find_assignment, read_steps

# What startproject and startapp make and the tutorial leaves alone.
GENERATED = {
    "manage.py",
    "mysite/__init__.py",
    "mysite/asgi.py",
    "mysite/wsgi.py",
    "chat/__init__.py",
    "chat/apps.py",
    "chat/migrations/__init__.py",
    "chat/migrations/0001_initial.py",
}

# A server on which what the page says about errors can be seen.
FAULTY_ROUTING = """
from chat import consumers
from django.channels import route


def ws_connect(message):
    "Forget to accept."


channel_routing = [
    route("websocket.connect", ws_connect, path="^/chat/kitchen/$"),
    route("websocket.connect", consumers.ws_connect, path="^/chat/(?P<room>hall)/$"),
]
"""


def read_code(path):
    """Return a file's code in one form, without docstring and secret key."""
    tree = ast.parse(path.read_text())
    return [
        ast.dump(node)
        for number, node in enumerate(tree.body)
        if not (number == 0 and isinstance(node, ast.Expr))
        and not (isinstance(node, ast.Assign) and node.targets[0].id == "SECRET_KEY")
    ]


class TutorialPageTests(SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.text = TUTORIAL.read_text()
        cls.steps = read_steps(cls.text)
        # A file that is shown twice ends as the second.
        cls.files = {step.path: step for step in cls.steps if isinstance(step, File)}

    def test_files_are_those_of_the_example(self):
        """Every file of the tutorial ends as it is in examples/chat."""
        for path, file in self.files.items():
            with self.subTest(path=path):
                source = (EXAMPLE / path).read_text()
                if path == "mysite/settings.py":
                    source = find_assignment(source, file.content) + "\n"
                self.assertEqual(file.content, source)

    def test_every_file_of_the_example_is_shown(self):
        """What the example has, the tutorial shows or generates."""
        found = {
            path.relative_to(EXAMPLE).as_posix()
            for path in EXAMPLE.rglob("*")
            if path.is_file() and not re.search(r"\.(pyc|sqlite3.*)$", path.name)
        }
        self.assertEqual(found, GENERATED | set(self.files))

    def test_installation_is_that_of_the_readme(self):
        """The command that installs the branch is one that the README has."""
        (line,) = re.findall(r"\$ (python -m pip install .*)", self.text)
        self.assertIn(line, (REPOSITORY / "README.rst").read_text())


class TutorialTests(ChatTestCase):
    @classmethod
    def make_project(cls, temporary):
        """Leave the directory empty for the tutorial's own commands."""
        return temporary

    def run_command(self, command):
        with Process(command.args, cwd=self.directory) as process:
            self.assertEqual(process.wait(), 0, process.output)

    def test_word_for_word(self):
        """The commands and files, in their order, lead to a chat."""
        servers = [self.check_first_consumers, self.check_chat]
        several = []
        for step in read_steps(TUTORIAL.read_text()):
            if isinstance(step, File):
                step.write(self.directory)
            elif step.words[0] == "cd":
                type(self).directory = self.directory / step.words[1]
            elif step.words[-1] == "runserver":
                process, server = serve_chat(self.directory)
                with process:
                    servers.pop(0)(server)
                    self.assertNotIn("Traceback", process.output)
            elif several or "--noworker" in step.words:
                several.append(step.words[2:])
            elif "pip" not in step.words:
                self.run_command(step)
        self.assertEqual(servers, [])
        self.check_generated()
        self.check_processes(*several)
        self.check_errors()

    def check_first_consumers(self, server):
        """What one socket sends, both receive."""
        with (
            server.connect("/chat/lobby/") as one,
            server.connect("/chat/lobby/") as two,
        ):
            # An answer to its own text tells that the second is in the group.
            two.send("I am here")
            self.assertEqual(two.recv(timeout=30), "I am here")
            self.assertEqual(one.recv(timeout=30), "I am here")
            one.send("Hello, window!")
            self.assertEqual(two.recv(timeout=30), "Hello, window!")

    def check_chat(self, server, room="kitchen"):
        """Two pages chat, and a third sees the history."""
        one, _ = self.join(server, room)
        two, _ = self.join(server, room)
        one.say("Ada", "dinner!")
        for client in one, two:
            self.assertEqual(client.heard(), [("Ada", "dinner!")])
        _, history = self.join(server, room)
        self.assertEqual(history, [("Ada", "dinner!")])
        for path in "/", "/chat/kitchen/", "/static/chat/chat.js":
            self.assertEqual(server.get(path)[0], 200)

    def check_processes(self, serve, work, look):
        """On the layer that the page names, a server and a worker make the chat."""
        path = self.directory / "mysite" / "settings.py"
        before = path.read_text()
        (setting,) = (
            dedent(block["body"])
            for block in BLOCK.finditer(TUTORIAL.read_text())
            if "CHANNEL_LAYERS = {" in block["body"]
        )
        File("mysite/settings.py", setting).write(self.directory)
        self.assertEqual(serve[0], "runserver")
        process, server = serve_chat(self.directory, options=serve[1:])
        with process, manage(self.directory, *work) as worker:
            worker.wait_for_line("Running worker")
            self.check_chat(server, "hall")
            wait_for(partial(self.shows_worker, look), "the worker waits again")
        path.write_text(before)

    def shows_worker(self, look):
        """Return whether a command shows the layer, and a worker that waits."""
        with manage(self.directory, *look) as shown:
            self.assertEqual(shown.wait(), 0)
        self.assertIn("DatabaseChannelLayer)", shown.output)
        return re.search(r"\nwebsocket\.receive +0 .* 1 +0 +0\n", shown.output)

    def check_generated(self):
        """What startproject and startapp made is what the example has."""
        for path in GENERATED | {"mysite/settings.py"}:
            with self.subTest(path=path):
                self.assertEqual(
                    read_code(self.directory / path), read_code(EXAMPLE / path)
                )

    def check_errors(self):
        """What the page says of errors is what the server writes."""
        from websockets.exceptions import InvalidStatus

        (self.directory / "mysite" / "routing.py").write_text(FAULTY_ROUTING)
        (self.directory / "db.sqlite3").unlink()
        text = TUTORIAL.read_text()
        process, server = serve_chat(
            self.directory, options=["--websocket-handshake-timeout=5"]
        )
        with process:
            for path, origin, line in (
                ("/chat/the%20kitchen/", None, "Denied a socket: .*"),
                ("/chat/kitchen/", "http://foreign.test", "Refused a .*? allowed[.]"),
                ("/chat/kitchen/", None, "Closing /chat/kitchen/ with .*"),
                ("/chat/hall/", None, "Error processing message on .*"),
                ("/chat/hall/", None, "no such table: chat_post"),
            ):
                with self.subTest(line=line):
                    with self.assertRaisesMessage(InvalidStatus, "HTTP "):
                        server.connect(path, origin=origin).__enter__()
                    self.assertIn(process.wait_for_line(line)[0].strip(), text)
