"""
The setuptools commands that make the distribution ``Django`` of the branch.

The pinned upstream release is a build requirement, so pip has installed it
beside this code. Its files, ours and the series make the wheel by the function
that makes the built tree.
"""

import shutil
import tempfile
from pathlib import Path

from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel
from setuptools.errors import SetupError

from . import ROOT, overlay
from .distribution import PACKAGE, copy_licenses, declare_licenses, find_upstream
from .errors import ToolError
from .upstream import read_pin


class Build(build):
    """Build in a temporary directory: ``build/`` is the built tree."""

    def initialize_options(self):
        super().initialize_options()
        self.scratch = tempfile.TemporaryDirectory(prefix="django-build-")
        self.build_base = self.scratch.name


class BuildPackage(build_py):
    """Lay our files over the installed upstream's, and apply the series."""

    def run(self):
        target = Path(self.build_lib)
        shutil.rmtree(target / PACKAGE, ignore_errors=True)
        try:
            pristine = find_upstream(read_pin(ROOT)).locate_file("")
            overlay.lay_over(ROOT, pristine, target, only=PACKAGE)
        except ToolError as error:
            raise SetupError(str(error)) from error

    def get_source_files(self):
        return []  # MANIFEST.in lists them.

    def get_outputs(self, include_bytecode=True):
        return [
            str(Path(self.build_lib, path))
            for path in overlay.walk(self.build_lib, PACKAGE)
        ]

    def _get_data_files(self):
        return []


class BuildWheel(bdist_wheel):
    """Put upstream's license, authors included, beside ours."""

    def egg2dist(self, egginfo_path, distinfo_path):
        super().egg2dist(egginfo_path, distinfo_path)
        try:
            copied = copy_licenses(find_upstream(read_pin(ROOT)), distinfo_path)
        except ToolError as error:
            raise SetupError(str(error)) from error
        declare_licenses(distinfo_path, copied)


class RefuseEditable(editable_wheel):
    """Say what to do instead of an editable installation."""

    def run(self):
        raise SetupError(
            "The branch cannot be installed editable, because upstream's files are "
            "not in the clone: run scripts/build_tree.py and put build/ on "
            "PYTHONPATH, where edits are live."
        )


COMMANDS = {
    "bdist_wheel": BuildWheel,
    "build": Build,
    "build_py": BuildPackage,
    "editable_wheel": RefuseEditable,
}
