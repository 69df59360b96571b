"""
Both sides: the virtual environment that they share, and their projects.

Every server and client comes from one environment, with pristine Django in it.
Our side has the built tree in front of that, so that nothing but Django (and
Channels) differs. The projects are what startproject makes, and our sites/.
"""

import shutil
from pathlib import Path

from lib import ROOT
from lib.environment import VirtualEnvironment, run_to_log
from lib.tree import BuiltTree

WORK = ROOT / "build" / "bench"
REQUIREMENTS = ROOT / "tests" / "requirements" / "benchmarks.txt"
SITES = Path(__file__).parent / "sites"
PROJECT = "mysite"


class Side:
    """One of both: a project, and the variables that its processes run with."""

    def __init__(self, name, environment, tree=None):
        self.name = name
        self.environment = environment
        self.folder = WORK / "sites" / name
        self._path = {"PYTHONPATH": str(tree)} if tree else {}

    def environ(self):
        """Return the variables."""
        settings = f"{PROJECT}.bench_settings"
        return self.environment.environ(DJANGO_SETTINGS_MODULE=settings, **self._path)

    def create(self, log):
        """Make the project anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        command = [self.environment.python, "-m", "django", "startproject", PROJECT]
        run_to_log(
            [*command, str(self.folder)], log, self.environment.environ(**self._path)
        )
        for source in ("common", self.name):
            shutil.copytree(
                SITES / source,
                self.folder / PROJECT,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("__pycache__"),
            )

    def command(self, *arguments):
        """Return the command that runs a module of the environment's."""
        return [self.environment.python, "-m", *arguments]


class Sides:
    """Our side, the peer's, and a bare server without Django."""

    def __init__(self, python):
        tree = BuiltTree(ROOT)
        self.pin = tree.pin
        self.environment = VirtualEnvironment("environment", python, folder=WORK)
        self.ours = Side("ours", self.environment, ROOT / "build")
        self.peer = Side("peer", self.environment)
        self._tree = tree

    def prepare(self):
        """Build the tree, install the environment and make the projects."""
        log = WORK / "logs" / "prepare.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        self._tree.build()
        arguments = ["--requirement", REQUIREMENTS]
        arguments += [f"{self.pin.name}=={self.pin.version}"]
        self.environment.install(arguments, [REQUIREMENTS], log)
        for side in (self.ours, self.peer):
            side.create(log)
