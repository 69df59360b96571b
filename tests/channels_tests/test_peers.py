"""Peers of a layer: another Python, and a program that only knows the pages."""

import ast
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from unittest import skipUnless

from django.test import SimpleTestCase

from . import services
from .ipc import IPCTests
from .processes import ROOT
from .utils import TIMEOUT

PEER = Path(__file__).parent / "peer.py"
FOREIGN = Path(__file__).parent / "foreign.py"
SCRIPTS = ROOT / "django/channels/backends/redis_store/scripts"

# The newest Pythons that Django runs on, but for this one.
VERSIONS = [(3, n) for n in (14, 13, 12, 11, 10) if (3, n) != sys.version_info[:2]]

# What a peer may import besides the tree, if it is installed here.
PACKAGES = ["asgiref", "redis", "lmdb", "typing_extensions", "async_timeout"]
PACKAGES += ["cryptography", "_cffi_backend"]

SECRET = "correct horse battery staple"

# All types of values, and their bounds.
MESSAGE = {
    "bytes": bytes(range(256)),
    "str": "\x00\n\xe4\u20ac\U0001f40e",
    "int": [0, -1, 127, 128, -(2**63), 2**63 - 1],
    "float": [0.5, -0.0, 1e300, 5e-324],
    "none": None,
    "bool": [True, False],
    "dict": {"": {"a": [[], {}]}},
    "long": "x" * 70000,
}

# What the program that knows the pages only can write.
SMALL_MESSAGE = {
    "bytes": b"\x00\xff",
    "int": [0, -1, 127, 200],
    "str": "\n\xe4\u20ac\U0001f40e",
    "none": None,
    "bool": [True, False],
    "dict": {"": {}},
}


def find_python():
    """Return the path of another Python, or of this one if there is no other."""
    folder = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    for major, minor in VERSIONS:
        named = f"python{major}.{minor}"
        for path in (named, *sorted(folder.glob(f"{major}.{minor}.*/bin/python"))):
            check = "import sys, ssl, sqlite3; print(sys.version_info[:2])"
            try:
                output = subprocess.run([path, "-c", check], capture_output=True)
            except OSError:
                continue
            if output.stdout.decode().strip() == str((major, minor)):
                return str(path)
    return sys.executable


class Program:
    """A process that calls what its input names, and writes the results."""

    def __init__(self, test, command, env):
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            encoding="utf-8",
        )
        test.addCleanup(self._end)
        self.version = self._read("ready")

    def _end(self):
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def _read(self, name):
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"The peer ended with {self._process.wait()}.")
        found, value = ast.literal_eval(line)
        if found != name:
            raise AssertionError(f"The peer answered {found}, not {name}.")
        return value

    def start(self, name, *args):
        """Begin a call."""
        self._process.stdin.write(repr((name, args)) + "\n")
        self._process.stdin.flush()

    def result(self, name):
        """Return what a call that was begun returns."""
        return self._read(name)

    def call(self, name, *args):
        """Return what a call returns."""
        self.start(name, *args)
        return self.result(name)

    def finish(self, name):
        """End the process; return what it says last."""
        self._process.stdin.close()
        return self._read(name)


def start_peer(test, python, kind, **options):
    """Return a Program that makes a layer and calls its methods."""
    packages = tempfile.TemporaryDirectory()
    test.addCleanup(packages.cleanup)
    for name in PACKAGES:
        link_package(name, Path(packages.name))
    env = {"PYTHONPATH": f"{ROOT}{os.pathsep}{packages.name}"}
    for name in ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"):
        if name in os.environ:
            env[name] = os.environ[name]
    # Without the packages of that Python.
    return Program(test, [python, "-S", str(PEER), repr((kind, options))], env)


def link_package(name, folder):
    """Have a package or module in a folder, if it is installed."""
    spec = find_spec(name)
    if spec is not None:
        path = Path(spec.origin)
        path = path.parent if path.name == "__init__.py" else path
        (folder / path.name).symlink_to(path)


class PeerTests:
    """What this process and a peer do to each other."""

    python = None
    # The name of the layer's kind, for the peer.
    kind = None

    def get_options(self):
        """Return the options of both layers."""
        raise NotImplementedError

    def make_layer(self, **options):
        """Return a layer of this process."""
        raise NotImplementedError

    def make_pair(self, **options):
        options |= self.get_options()
        layer = self.make_layer(**options)
        self.addCleanup(layer.close)
        return layer, start_peer(self, self.python, self.kind, **options)

    def assertTalks(self, layer, peer):
        names = {"plain": "plain", "one?x": "one?x", "here.in!x": "here.in!"}
        for name, key in names.items():
            with self.subTest(name=name):
                peer.call("send", name, MESSAGE)
                received = layer.receive([key], block=True, timeout=TIMEOUT)
                self.assertEqual(repr(received), repr((name, MESSAGE)))
        names = {"plain": "plain", "one?x": "one?x", "there.in!x": "there.in!"}
        for name, key in names.items():
            with self.subTest(name=name, to="peer"):
                layer.send(name, MESSAGE)
                received = peer.call("receive", [key], True, TIMEOUT)
                self.assertEqual(repr(received), repr((name, MESSAGE)))

    def test_messages_go_both_ways(self):
        layer, peer = self.make_pair()
        self.assertTalks(layer, peer)
        self.assertFalse(peer.finish("settings"))

    def test_each_wakes_the_other(self):
        layer, peer = self.make_pair()
        for n in range(5):
            peer.start("receive", ["ping"], True, TIMEOUT)
            layer.send("ping", {"n": n})
            self.assertEqual(peer.result("receive"), ("ping", {"n": n}))
            peer.start("send", "pong", {"n": n})
            received = layer.receive(["pong"], block=True, timeout=TIMEOUT)
            self.assertEqual(received, ("pong", {"n": n}))
            self.assertIsNone(peer.result("send"))

    def test_groups_have_members_in_both(self):
        layer, peer = self.make_pair()
        here = [layer.new_channel("here.in!") for _ in range(2)]
        there = [peer.call("new_channel", "there.in!") for _ in range(2)]
        # Each by the one that it belongs to, and by the other one.
        layer.group_add("group", here[0])
        layer.group_add("group", there[0])
        peer.call("group_add", "group", here[1])
        peer.call("group_add", "group", there[1])
        peer.call("group_add", "group", "plain")
        layer.send_group("group", {"n": 1})
        peer.call("send_group", "group", {"n": 2})
        layer.group_discard("group", there[0])
        peer.call("group_discard", "group", here[0])
        layer.send_group("group", {"n": 3})
        expected = [(name, {"n": n}) for n in (1, 2) for name in here]
        self.assertEqual(
            layer.receive_batch(["here.in!"], 9), [*expected, (here[1], {"n": 3})]
        )
        expected = [(name, {"n": n}) for n in (1, 2) for name in there]
        self.assertEqual(
            peer.call("receive_batch", ["there.in!"], 9),
            [*expected, (there[1], {"n": 3})],
        )
        pairs = layer.receive_batch(["plain"], 9)
        self.assertEqual([message["n"] for _, message in pairs], [1, 2, 3])

    def test_both_count_the_same(self):
        layer, peer = self.make_pair()
        layer.send_batch([("plain", {})] * 3)
        peer.call("receive", ["plain"])
        ours, theirs = layer.statistics("plain"), peer.call("statistics", "plain")
        for statistics in (ours, theirs):
            self.assertEqual(statistics["messages_count"], 3)
            self.assertEqual(statistics["delivered_count"], 1)
            self.assertEqual(statistics["messages_pending"], 2)


class RedisPeerTests(PeerTests, SimpleTestCase):
    kind = "redis"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.python = find_python()

    def get_options(self):
        url = services.redis().socket_url
        return {"hosts": [url], "prefix": services.unique_name()}

    def make_layer(self, **options):
        from django.channels.backends.redis import RedisChannelLayer

        return RedisChannelLayer(**options)

    @skipUnless(find_spec("cryptography"), "cryptography is not installed.")
    def test_encrypted_messages_go_both_ways(self):
        # With this Python: the other one may not have the package.
        self.python = sys.executable
        layer, peer = self.make_pair(symmetric_encryption_keys=[SECRET])
        self.assertTalks(layer, peer)


class IPCPeerTests(IPCTests, PeerTests, SimpleTestCase):
    # The other one may not have the package.
    python = sys.executable
    kind = "ipc"

    def get_options(self):
        return {"path": self.path}

    def make_layer(self, **options):
        from django.channels.backends.ipc import IPCChannelLayer

        return IPCChannelLayer(**options)


class ForeignTests(SimpleTestCase):
    """A program that has only read the specifications joins a Redis layer."""

    def setUp(self):
        server = services.redis()
        prefix = services.unique_name()
        from django.channels.backends.redis import RedisChannelLayer

        self.layer = RedisChannelLayer([server.socket_url], prefix)
        self.addCleanup(self.layer.close)
        path = server.socket_url.partition("unix://")[2].partition("?")[0]
        arguments = repr((path, prefix, str(SCRIPTS)))
        command = [sys.executable, "-I", "-S", str(FOREIGN), arguments]
        self.program = Program(self, command, {})

    def test_it_needs_nothing_of_django(self):
        self.assertEqual(self.program.finish("modules"), [])

    def test_the_layer_receives_what_it_sends(self):
        for name, key in (("plain", "plain"), ("one?x", "one?x"), ("in!x", "in!")):
            with self.subTest(name=name):
                self.assertTrue(self.program.call("send", name, SMALL_MESSAGE))
                self.assertEqual(self.layer.receive([key]), (name, SMALL_MESSAGE))

    def test_it_receives_what_the_layer_sends(self):
        for name, key in (("plain", "plain"), ("one?x", "one?x"), ("its!x", "its!")):
            with self.subTest(name=name):
                self.layer.send(name, SMALL_MESSAGE)
                received = self.program.call("receive", key)
                self.assertEqual(received, (name, SMALL_MESSAGE))
                self.assertIsNone(self.program.call("receive", key))
                statistics = self.layer.statistics(key)
                self.assertEqual(statistics["delivered_count"], 1)

    def test_it_wakes_a_reader_of_the_layer(self):
        self.program.start("receive", "nothing")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.layer.receive, ["plain"], True, TIMEOUT)
            self.program.result("receive")
            self.program.call("send", "plain", {"n": 1})
            self.assertEqual(waiting.result(TIMEOUT), ("plain", {"n": 1}))

    def test_it_sends_to_groups_and_is_a_member(self):
        name = self.layer.new_channel("in!")
        self.layer.group_add("group", name)
        self.program.call("group_add", "group", "plain")
        self.program.call("send_group", "group", {"n": 1})
        self.layer.send_group("group", {"n": 2})
        pairs = self.layer.receive_batch(["in!"], 9)
        self.assertEqual(pairs, [(name, {"n": 1}), (name, {"n": 2})])
        for n in (1, 2):
            self.assertEqual(self.program.call("receive", "plain"), ("plain", {"n": n}))
