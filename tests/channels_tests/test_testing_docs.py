"""The examples of the page about testing are tests, and they pass."""

import sys
import unittest
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from django.test import SimpleTestCase, TransactionTestCase, override_settings, tag

from .layers import layer_settings
from .processes import Process, start_project
from .test_docs import DOCS
from .tutorial import read_steps

APPS = [
    "channels_tests",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
]
FILES = ["consumers.py", "routing.py", "test_live.py", "tests.py"]


# As manage.py, where new processes begin with nothing, as on macOS and Windows.
MANAGE = """
import multiprocessing
import os

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
    from django.core.management import execute_from_command_line

    execute_from_command_line()
"""


def read_page():
    """Return the files that the page has one create."""
    return read_steps((DOCS / "topics" / "channels" / "testing.txt").read_text())


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
        for step in read_page():
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


@tag("slow")
class SpawnedTests(SimpleTestCase):
    """The examples of the page as the tests of a project, in several processes."""

    def setUp(self):
        self.folder = self.enterContext(TemporaryDirectory())
        package = start_project(self.folder)
        Path(self.folder, "spawn.py").write_text(MANAGE)
        Path(self.folder, "polls").mkdir()
        Path(self.folder, "polls", "__init__.py").touch()
        for step in read_page():
            Path(self.folder, step.path).write_text(step.content)
        live = Path(self.folder, "polls", "test_live.py").read_text()
        Path(self.folder, "polls", "test_live_too.py").write_text(live)
        settings = (package / "settings.py").read_text()
        settings = settings.replace("mysite.routing.", "polls.routing.")
        (package / "settings.py").write_text(settings)

    @unittest.skipUnless(find_spec("websockets"), "websockets is not installed.")
    def test_processes_that_are_spawned_have_their_live_servers(self):
        command = [sys.executable, "spawn.py", "test", "--parallel=2", "-v2"]
        with Process(command, cwd=self.folder) as process:
            code = process.wait()
        self.assertEqual(code, 0, process.output)
        self.assertIn("Ran 6 tests", process.output)
        # Each process has a database of its own.
        self.assertIn("default_2", process.output)
        self.assertNotIn("skipped", process.output)
