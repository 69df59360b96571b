"""The conformance suite, run from the command line without a project."""

import os
import sys
import tempfile
from pathlib import Path

from django.channels.exceptions import LayerUnavailable
from django.test import SimpleTestCase

from .processes import Process
from .third_party import SyncOnlyLayer

MEMORY = "django.channels.backends.memory.MemoryChannelLayer"


class ForgetfulLayer(SyncOnlyLayer):
    """A layer that loses each message."""

    def __init__(self, folder, **options):
        super().__init__(**options)
        Path(folder).mkdir()

    def send(self, channel, message):
        pass


class AwayLayer(SyncOnlyLayer):
    """A layer whose store cannot be reached."""

    def check(self, reach=False):
        if reach:
            raise LayerUnavailable("it is away")
        return []


class CommandTests(SimpleTestCase):
    def run_suite(self, *args):
        """Return the exit code and what was written."""
        command = [sys.executable, "-m", "django.test.channel_layers", *args]
        tests = str(Path(__file__).absolute().parents[1])
        path = [str(Path(p).absolute()) for p in sys.path if p] + [tests]
        with Process(command, env={"PYTHONPATH": os.pathsep.join(path)}) as process:
            code = process.wait()
            return code, process.output

    def test_a_layer_that_passes(self):
        code, output = self.run_suite(MEMORY, "--option", "capacity=5", "-k", "batch")
        self.assertEqual(code, 0, output)
        self.assertRegex(output, r"Ran \d\d tests")

    def test_a_layer_that_fails(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        option = f'folder="{folder.name}/{{test}}"'
        path = f"{ForgetfulLayer.__module__}.ForgetfulLayer"
        code, output = self.run_suite(
            path, "--option", option, "-v", "-k", "a_message_is_received", "-k", "gone"
        )
        self.assertEqual(code, 1, output)
        self.assertIn("test_a_message_is_received_once", output)
        self.assertIn("ForgetfulLayerTestsBy8Callers", output)
        self.assertIn("test_methods_that_are_gone_say_what_to_use", output)
        # One for each form, and one for eight callers, each with a store; and that
        # which tells that there is one.
        self.assertEqual(len(list(Path(folder.name).iterdir())), 8)

    def test_no_test_at_all_is_a_failure(self):
        code, output = self.run_suite(MEMORY, "-k", "no.such.test")
        self.assertEqual(code, 1, output)

    def test_what_is_not_understood_is_named(self):
        for args, msg in (
            (["no.such.Layer"], "No module named 'no'"),
            ([MEMORY, "--option", "capacity"], "form NAME=VALUE, not 'capacity'"),
            ([MEMORY, "--callers", "0"], "--callers must be 1 or more, not 0."),
            ([MEMORY, "--option", "capcity=5"], "unexpected keyword argument"),
            ([MEMORY, "--option", "capacity=0"], "capacity must be an int of at least"),
            ([f"{__name__}.AwayLayer"], "AwayLayer cannot be tested: it is away"),
        ):
            with self.subTest(args=args):
                code, output = self.run_suite(*args)
                self.assertEqual(code, 2)
                self.assertIn(msg, output)
