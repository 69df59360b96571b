"""What layers log: which layer and which channel it was, and never content."""

import ast
import asyncio
import threading
from pathlib import Path
from unittest import mock

from django.channels import backends
from django.channels.exceptions import LayerUnavailable
from django.test import SimpleTestCase

from .dict_store import DictChannelLayer
from .third_party import SyncOnlyLayer
from .utils import TIMEOUT

FOLDER = Path(backends.__file__).parent
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
# What holds a layer's name, or the place of its store.
LAYERS = ("layer", "self._name", "directory")
# What holds content, or may.
CONTENT = {"body", "content", "entries", "entry", "message", "pairs", "payload"}
SECRET = "content of a message"


def find_calls():
    """Yield (place, call) of all that layers log."""
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                logger = ast.unparse(node.func.value)
                if logger.endswith("logger") and node.func.attr in LEVELS:
                    yield f"{path.relative_to(FOLDER)}:{node.lineno}", node


class LogCallTests(SimpleTestCase):
    """The calls in the source of all layers."""

    def test_each_call_names_a_layer_or_a_place(self):
        calls = list(find_calls())
        self.assertGreater(len(calls), 5)
        for place, call in calls:
            with self.subTest(place=place):
                self.assertIsInstance(call.args[0], ast.Constant)
                arguments = [ast.unparse(argument) for argument in call.args[1:]]
                self.assertTrue(
                    any(name in text for text in arguments for name in LAYERS)
                )

    def test_no_call_is_given_content(self):
        for place, call in find_calls():
            with self.subTest(place=place):
                arguments = [*call.args[1:], *(k.value for k in call.keywords)]
                names = {
                    getattr(node, "id", getattr(node, "attr", None))
                    for argument in arguments
                    for node in ast.walk(argument)
                }
                self.assertEqual(names & CONTENT, set())

    def test_there_is_one_logger(self):
        for path in sorted(FOLDER.rglob("*.py")):
            text = path.read_text()
            with self.subTest(path=path.relative_to(FOLDER)):
                self.assertEqual(
                    text.count("getLogger("), text.count('getLogger("django.channels")')
                )
                self.assertNotIn("print(", text)


class LoggedTests(SimpleTestCase):
    """What is really written."""

    def assertLogged(self, logs, *texts):
        output = "\n".join(logs.output)
        self.assertNotIn(SECRET, output)
        for text in texts:
            self.assertIn(text, output)

    def make_layer(self):
        layer = DictChannelLayer()
        self.addCleanup(layer.close)
        return layer

    def test_a_foreign_entry_is_not_shown(self):
        layer = self.make_layer()
        for name in ("normal", "in!"):
            layer._reader._reported = False
            layer._store.append([(name, 100, [SECRET.encode()])])
            with self.assertLogs("django.channels") as logs:
                layer.receive([name])
            self.assertLogged(logs, "DictChannelLayer", repr(name))

    def test_a_gap_is_told_by_layer(self):
        layer = self.make_layer()
        told = threading.Event()
        layer.on_gap(told.set)
        name = layer.new_channel("in!")
        layer.group_add("group", name)
        layer.send(name, {"text": SECRET})
        layer.receive(["other!"])
        with self.assertLogs("django.channels") as logs:
            layer.world.lose()
            self.assertTrue(told.wait(TIMEOUT))
        self.assertLogged(logs, "DictChannelLayer found its store without")

    def test_an_outage_is_told_by_layer(self):
        layer = self.make_layer()
        layer.send("a", {"text": SECRET})
        layer.receive(["in!"])
        with self.assertLogs("django.channels") as logs:
            layer.world.away = True
            with self.assertRaisesMessage(LayerUnavailable, "away"):
                layer.receive(["b", "in!"], block=True, timeout=TIMEOUT)
            layer._owner.change("a", delivered_count=0)
            layer.close()
        self.assertLogged(logs, "Counters of DictChannelLayer wait")

    def test_what_a_cancelled_receive_lost_is_told_by_channel(self):
        layer = SyncOnlyLayer(capacity=1)
        layer.send("a", {"text": SECRET})
        taken, go_on = threading.Event(), threading.Event()
        receive_batch = layer.receive_batch
        before = set(threading.enumerate())

        def slow(*args, **kwargs):
            pairs = receive_batch(*args, **kwargs)
            taken.set()
            go_on.wait(TIMEOUT)
            return pairs

        async def main():
            task = asyncio.create_task(layer.areceive(["a"]))
            await asyncio.to_thread(taken.wait, TIMEOUT)
            task.cancel()
            await asyncio.wait([task])

        refuse = mock.Mock(return_value=[layer.ChannelFull("Channel 'a' is full.")])
        with (
            mock.patch.object(layer, "receive_batch", slow),
            mock.patch.object(layer, "put_back", refuse),
            self.assertLogs("django.channels") as logs,
        ):
            asyncio.run(main())
            go_on.set()
            for thread in set(threading.enumerate()) - before:
                thread.join(TIMEOUT)
        self.assertLogged(logs, "SyncOnlyLayer lost 1 messages", "Channel 'a'")
