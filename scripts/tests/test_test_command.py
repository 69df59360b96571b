import os
import unittest
from types import SimpleNamespace
from unittest import mock

from lib import checks, system_packages
from lib.checks import Checks
from lib.errors import ToolError
from lib.test_command import parse, run_quick_steps


def refuse(packages, log):
    raise ToolError(f"{' and '.join(packages)} cannot be installed by this user.")


class TagsTests(unittest.TestCase):
    def left_out(self, *arguments):
        """Return the tags that the run of our tests leaves out."""
        actions = {}
        report = SimpleNamespace(
            run=lambda name, action, **_: actions.update({name: action})
        )
        found = []

        def run(step, tree, labels, options, **_):
            found.extend(options)
            raise ToolError("It goes no further.")

        ours = Checks.__new__(Checks)
        ours.runner = SimpleNamespace(run=run)
        ours.built = None
        run_quick_steps(report, ours, parse(arguments))
        with self.assertRaisesRegex(ToolError, "no further"):
            actions["our tests"](None)
        tags = [option.partition("--exclude-tag=")[2] for option in found]
        return {tag for tag in tags if tag}

    def test_long_tests_run_only_when_everything_is_asked_for(self):
        self.assertEqual(self.left_out(), {"full"})
        self.assertEqual(self.left_out("--upstream"), {"full"})
        self.assertEqual(self.left_out("--full"), set())

    def test_the_inner_loop_leaves_out_slow_tests_as_well(self):
        self.assertEqual(self.left_out("--fast"), {"full", "browser", "slow"})


class ServersTests(unittest.TestCase):
    def setUp(self):
        self.checks = Checks.__new__(Checks)
        self.step = SimpleNamespace(log=None)
        for target, name, value in (
            (system_packages, "missing", list),
            (system_packages, "install", refuse),
            (checks, "in_ci", lambda: False),
        ):
            patcher = mock.patch.object(target, name, value)
            patcher.start()
            self.addCleanup(patcher.stop)

    def test_valkey_takes_the_place_of_a_redis_that_cannot_be_installed(self):
        with mock.patch.dict(os.environ, {"CI": "1"}):
            remark = self.checks.install_servers(self.step)
        self.assertEqual(remark, "Valkey takes the place of Redis")

    def test_other_servers_are_for_the_full_run(self):
        remark = self.checks.install_servers(self.step, full=True)
        self.assertIn("will be skipped: mariadb-server and faketime cannot", remark)

    def test_other_servers_must_be_there_in_ci(self):
        with mock.patch.object(checks, "in_ci", return_value=True):
            with self.assertRaisesRegex(ToolError, "^mariadb-server and faketime"):
                self.checks.install_servers(self.step, full=True)

    def test_what_is_missing_is_installed(self):
        installed = []
        with mock.patch.object(
            system_packages, "install", lambda names, log: installed.extend(names)
        ):
            self.checks.install_servers(self.step, full=True)
        self.assertEqual(installed, ["redis-server", "mariadb-server", "faketime"])
