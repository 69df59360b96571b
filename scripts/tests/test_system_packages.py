import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lib import system_packages
from lib.errors import ToolError


class SystemPackagesTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        patcher = mock.patch.dict(os.environ, {"PATH": str(self.folder)})
        patcher.start()
        self.addCleanup(patcher.stop)

    def command(self, name, text="exit 0"):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def be_user(self, number):
        patcher = mock.patch.object(os, "geteuid", return_value=number)
        patcher.start()
        self.addCleanup(patcher.stop)

    def test_a_package_whose_command_is_there_is_not_missing(self):
        self.command("chromium")
        packages = system_packages.BROWSER_PACKAGES
        self.assertEqual(system_packages.missing(packages), ["chromium-driver"])

    def test_root_needs_no_sudo(self):
        self.be_user(0)
        self.assertEqual(system_packages.privilege(), [])

    def test_a_user_needs_sudo_that_asks_for_no_password(self):
        self.be_user(1000)
        self.assertIsNone(system_packages.privilege())
        self.command("sudo", "exit 1")
        self.assertIsNone(system_packages.privilege())
        self.command("sudo")
        self.assertEqual(system_packages.privilege(), ["sudo", "-n"])

    def test_without_privilege_or_apt_the_packages_are_named(self):
        self.be_user(1000)
        message = "^a and b cannot be installed by this user"
        with self.assertRaisesRegex(ToolError, message):
            system_packages.install(["a", "b"], self.folder / "log")
        self.command("apt-get")
        with self.assertRaisesRegex(ToolError, message):
            system_packages.install(["a", "b"], self.folder / "log")

    def test_servers_are_not_started_while_they_are_installed(self):
        policy = self.folder / "policy-rc.d"
        script = system_packages.QUIET.replace("/usr/sbin/policy-rc.d", str(policy))
        command = ["/bin/sh", "-c", script, "sh", "/bin/sh", "-c", f"{policy}; echo $?"]
        with mock.patch.dict(os.environ, {"PATH": "/usr/bin:/bin"}):
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout, "101\n")
        self.assertFalse(policy.exists())

    def test_a_policy_that_an_administrator_made_stays(self):
        self.command("policy-rc.d", "exit 7")
        policy = self.folder / "policy-rc.d"
        script = system_packages.QUIET.replace("/usr/sbin/policy-rc.d", str(policy))
        subprocess.run(["/bin/sh", "-c", script, "sh", "/bin/true"], check=True)
        self.assertIn("exit 7", policy.read_text())

    def test_the_index_is_updated_before_the_packages_are_installed(self):
        self.be_user(1000)
        self.command("apt-get")
        self.command("sudo")
        commands = []

        def run_to_log(command, log, env=None):
            commands.append(command)

        with mock.patch.object(system_packages, "run_to_log", run_to_log):
            system_packages.install(["chromium"], self.folder / "log")
        update, install = commands
        self.assertEqual(update[:2] + update[-1:], ["sudo", "-n", "update"])
        self.assertEqual(install[-1], "chromium")
