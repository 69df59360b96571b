"""Install the system packages that tests need, where that is allowed."""

import os
import shutil
import subprocess

from .environment import clean_environment, run_to_log
from .errors import ToolError

# Package -> the command that is there when it is installed.
BROWSER_PACKAGES = {"chromium": "chromium", "chromium-driver": "chromedriver"}
SERVER_PACKAGES = {"redis-server": "redis-server"}
FULL_PACKAGES = {"mariadb-server": "mariadb-install-db", "faketime": "faketime"}
# dpkg refuses to work without the administrator's folders on PATH.
ADMINISTRATOR_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Runs a command while Debian starts no server that it installs.
QUIET = r"""
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
"$@"
"""


def missing(packages):
    """Return the names of the packages whose command is not on PATH."""
    return [name for name, command in packages.items() if not shutil.which(command)]


def privilege():
    """Return the words that make a command run as root, or None."""
    if os.geteuid() == 0:
        return []
    try:
        done = subprocess.run(["sudo", "-n", "true"], capture_output=True)
    except OSError:
        return None
    return ["sudo", "-n"] if done.returncode == 0 else None


def install(packages, log):
    """
    Install Debian packages by name; raise ToolError if that is not possible.

    Servers among them are not started: tests start their own.
    """
    prefix = privilege()
    if not shutil.which("apt-get") or prefix is None:
        raise ToolError(f"{' and '.join(packages)} cannot be installed by this user.")
    settings = [f"PATH={ADMINISTRATOR_PATH}", "DEBIAN_FRONTEND=noninteractive"]
    command = [*prefix, "env", *settings, "sh", "-c", QUIET, "sh"]
    command += ["apt-get", "--quiet"]
    run_to_log([*command, "update"], log, env=clean_environment())
    options = ["--yes", "--no-install-recommends"]
    run_to_log([*command, "install", *options, *packages], log)
