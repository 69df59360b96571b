"""The examples of the page about testing are tests, and they pass."""

import sys
import unittest
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from django.test import SimpleTestCase, TransactionTestCase, override_settings

from .layers import layer_settings
from .test_docs import DOCS
from .tutorial import read_steps

APPS = [
    "channels_tests",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
]
FILES = ["consumers.py", "routing.py", "test_live.py", "tests.py"]


@override_settings(
    CHANNEL_LAYERS=layer_settings("polls_of_docs.routing.channel_routing")
)
class TestingPageTests(SimpleTestCase):
    databases = "__all__"

    def setUp(self):
        folder = self.enterContext(TemporaryDirectory())
        package = Path(folder, "polls_of_docs")
        package.mkdir()
        (package / "__init__.py").touch()
        page = (DOCS / "topics" / "channels" / "testing.txt").read_text()
        for step in read_steps(page):
            # A name that no test application has.
            content = step.content.replace("polls.consumers", "polls_of_docs.consumers")
            (package / Path(step.path).name).write_text(content)
        sys.path.insert(0, folder)
        self.addCleanup(self.forget, folder)
        self.names = sorted(path.name for path in package.glob("[a-z]*.py"))

    def forget(self, folder):
        sys.path.remove(folder)
        for name in [name for name in sys.modules if name.startswith("polls_of_docs")]:
            del sys.modules[name]

    def run_tests(self, name):
        """Return the TestResult of the test cases in a module."""
        module = import_module(f"polls_of_docs.{name}")
        for case in vars(module).values():
            if isinstance(case, type) and issubclass(case, TransactionTestCase):
                # Django's own suite wants to know.
                case.available_apps = APPS
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromModule(module).run(result)
        self.assertEqual([text for _, text in result.errors + result.failures], [])
        return result

    def test_the_page_has_these_files(self):
        self.assertEqual(self.names, FILES)

    def test_the_examples_pass(self):
        self.assertEqual(self.run_tests("tests").testsRun, 4)

    @unittest.skipUnless(find_spec("websockets"), "websockets is not installed.")
    def test_the_example_of_a_live_server_passes(self):
        result = self.run_tests("test_live")
        self.assertEqual((result.testsRun, result.skipped), (1, []))
