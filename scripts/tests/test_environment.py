import ast
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lib import ROOT, environment
from lib.environment import (
    VirtualEnvironment,
    clean_environment,
    digest_of,
    find_python,
    newest_first,
    probe,
    run_to_log,
)
from lib.errors import ToolError


class FolderTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def script(self, name, text):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path


class OldPythonTests(unittest.TestCase):
    def test_an_old_python_reads_what_looks_for_a_newer_one(self):
        names = ["test", "quickstart", "lib/__init__.py", "lib/errors.py"]
        for name in [*names, "lib/environment.py"]:
            with self.subTest(name=name):
                text = (ROOT / "scripts" / name).read_text()
                ast.parse(text, feature_version=(3, 7))


class FindingTests(FolderTests):
    def test_this_python_works(self):
        python = probe(sys.executable)
        self.assertEqual(python.minor, "%d.%d" % sys.version_info[:2])

    def test_an_older_python_is_not_taken(self):
        old = self.script("python3", "echo 3.9 3.9.18 /usr/bin/python3.9")
        self.assertIsNone(probe(old))

    def test_versions_compare_as_numbers(self):
        new = self.script("python3", "echo 3.100 3.100.1 /usr/bin/python3.100")
        self.assertEqual(probe(new).version, "3.100.1")

    def test_a_python_that_fails_or_says_something_else_is_not_taken(self):
        for text in ("exit 1", "echo 3.11 3.11.2 /usr/bin/python3; exit 1", "echo hi"):
            with self.subTest(text=text):
                self.assertIsNone(probe(self.script("python3", text)))
        self.assertIsNone(probe(self.folder / "absent"))

    def test_the_newest_comes_first_and_other_names_are_left_out(self):
        names = ["python3.9", "python3.12", "python3.10", "python3.12-config"]
        paths = [Path("/usr/bin", name) for name in names]
        self.assertEqual(
            [path.name for path in newest_first(paths)],
            ["python3.12", "python3.10", "python3.9"],
        )
        versions = [Path(f"/p/versions/3.{v}/bin/python3") for v in ("9.1", "13.0")]
        self.assertEqual(newest_first(versions), versions[::-1])

    def test_no_python_is_one_sentence(self):
        with mock.patch.object(environment, "candidates", return_value=[]):
            with self.assertRaisesRegex(ToolError, r"^No Python 3\.10 or newer"):
                find_python()

    def test_a_python_on_the_path_is_found_before_one_of_pyenv(self):
        self.script("python3", "echo 3.77 3.77.1 /on/path")
        inside = self.folder / "pyenv" / "versions" / "3.88.0" / "bin"
        inside.mkdir(parents=True)
        self.script("pyenv/versions/3.88.0/bin/python3", "echo 3.88 3.88.0 /pyenv")
        with (
            mock.patch.dict(
                os.environ,
                {"PATH": str(self.folder), "PYENV_ROOT": str(self.folder / "pyenv")},
            ),
            mock.patch.object(sys, "base_prefix", "elsewhere"),
        ):
            found = [python.path for python in environment.find_pythons()]
        self.assertEqual(found, ["/on/path", "/pyenv"])

    def test_variables_that_change_a_python_are_left_out(self):
        changes = {"PYTHONPATH": "x", "DJANGO_SETTINGS_MODULE": "y", "LANG": "C"}
        with mock.patch.dict(os.environ, changes):
            environ = clean_environment(PYTHONHASHSEED="0")
        self.assertNotIn("PYTHONPATH", environ)
        self.assertNotIn("DJANGO_SETTINGS_MODULE", environ)
        self.assertEqual((environ["LANG"], environ["PYTHONHASHSEED"]), ("C", "0"))


class DigestTests(FolderTests):
    def setUp(self):
        super().setUp()
        self.source = self.folder / "source"
        (self.source / "inner").mkdir(parents=True)
        (self.source / "inner" / "a.py").write_text("a = 1\n")

    def test_a_change_of_content_name_or_number_changes_the_digest(self):
        seen = {digest_of([self.source])}
        (self.source / "inner" / "a.py").write_text("a = 2\n")
        seen.add(digest_of([self.source]))
        (self.source / "inner" / "a.py").rename(self.source / "b.py")
        seen.add(digest_of([self.source]))
        (self.source / "c.py").touch()
        seen.add(digest_of([self.source]))
        self.assertEqual(len(seen), 4)

    def test_compiled_and_missing_files_do_not_count(self):
        before = digest_of([self.source])
        (self.source / "__pycache__").mkdir()
        (self.source / "__pycache__" / "a.pyc").touch()
        self.assertEqual(digest_of([self.source, self.folder / "no"]), before)


class VirtualEnvironmentTests(FolderTests):
    def setUp(self):
        super().setUp()
        self.base = environment.Python("3.11", "3.11.2", sys.executable)
        self.source = self.folder / "requirements.txt"
        self.source.write_text("one\n")
        self.log = self.folder / "log"
        self.commands = []
        patcher = mock.patch.object(environment, "run_to_log", self.run_to_log)
        patcher.start()
        self.addCleanup(patcher.stop)
        self.made = VirtualEnvironment("test", self.base, self.folder / "envs")

    def run_to_log(self, command, log, env=None):
        self.commands.append("venv" if "venv" in command else command[4])

    def install(self, made=None):
        self.commands.clear()
        (made or self.made).install(["-r", self.source], [self.source], self.log)
        return self.commands

    def test_it_is_made_once(self):
        self.assertEqual(self.install(), ["venv", "install"])
        self.assertEqual(self.install(), [])

    def test_changed_requirements_are_installed_into_it(self):
        self.install()
        self.source.write_text("two\n")
        self.assertEqual(self.install(), ["install"])

    def test_another_python_makes_it_anew(self):
        self.install()
        other = environment.Python("3.12", "3.12.1", sys.executable)
        made = VirtualEnvironment("test", other, self.folder / "envs")
        self.assertEqual(self.install(made), ["venv", "install"])

    def test_one_that_failed_to_install_is_installed_again(self):
        with mock.patch.object(VirtualEnvironment, "pip", side_effect=ToolError("x")):
            with self.assertRaisesRegex(ToolError, "^x$"):
                self.install()
        self.assertEqual(self.install(), ["install"])


class RunToLogTests(FolderTests):
    def test_a_failure_names_the_command_the_reason_and_the_log(self):
        log = self.folder / "logs" / "log"
        fails = self.script("fails", "echo 'ERROR: no room.'; echo later; exit 1")
        message = f"^{fails} a failed: ERROR: no room \\(all of it is in {log}\\)\\.$"
        with self.assertRaisesRegex(ToolError, message):
            run_to_log([str(fails), "a"], log)

    def test_a_command_that_does_not_exist_is_a_failure_too(self):
        with self.assertRaisesRegex(ToolError, "No such file"):
            run_to_log([str(self.folder / "absent")], self.folder / "log")
