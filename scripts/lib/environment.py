"""
Find a Python and make virtual environments.

The other modules may use everything Python 3.10 has; this one is read by an
older Python too, which then looks for a newer one or says that there is none.
"""

import contextlib
import fcntl
import hashlib
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from . import ROOT
from .errors import ToolError, one_sentence

OLDEST_PYTHON = (3, 10)
ENVIRONMENTS = ROOT / ".venv"  # Git-ignored; may be deleted at any time.
PROBE_SECONDS = 20  # A Python that does not start within this is not used.
INSTALL_SECONDS = 1200  # Slow networks; an install that hangs has an end.
INTERRUPTED = 130  # The exit code shells give for Ctrl-C.
# Says what a Python is, and fails where it cannot make virtual environments.
PROBE = (
    "import ensurepip, sys, venv;"
    "print('%d.%d' % sys.version_info[:2], sys.version.split()[0], sys.executable)"
)


class Python:
    """A Python that works: its path, its version and its minor version."""

    def __init__(self, minor, version, path):
        self.minor = minor
        self.version = version
        self.path = path

    def __str__(self):
        return "Python {} ({})".format(self.version, self.path)


def clean_environment(**extra):
    """Return the process environment without what would change a Python."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "DJANGO_", "VIRTUAL_ENV", "__PYVENV"))
    }
    return {**kept, **extra}


def probe(path):
    """Return the Python at a path, or None if it does not do for us."""
    try:
        done = subprocess.run(
            [str(path), "-c", PROBE],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            universal_newlines=True,
            timeout=PROBE_SECONDS,
            env=clean_environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.strip().split(" ", 2)
    if done.returncode or len(words) != 3:
        return None
    python = Python(*words)
    wanted = tuple(map(int, python.minor.split("."))) >= OLDEST_PYTHON
    return python if wanted else None


def candidates():
    """Yield paths where a Python may be, the preferred ones first."""
    if sys.prefix == sys.base_prefix:
        yield sys.executable
    folders = [Path(p) for p in os.environ.get("PATH", "").split(os.pathsep) if p]
    for folder in folders:
        yield folder / "python3"
    for folder in folders:
        yield from newest_first(folder.glob("python3.*"))
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from newest_first(pyenv.glob("versions/3.*/bin/python3"))


def newest_first(paths):
    """Return the paths that name a Python, the highest version first."""
    named = {}
    for path in paths:
        match = re.search(r"3\.(\d+)(?:\.(\d+))?(?:/bin/python3)?$", str(path))
        if match:
            named[path] = (int(match.group(1)), int(match.group(2) or 0))
    return sorted(named, key=named.get, reverse=True)


def find_pythons():
    """Yield one working Python per minor version, the preferred one first."""
    seen, minors = set(), set()
    for path in candidates():
        if str(path) in seen or not os.access(str(path), os.X_OK):
            continue
        seen.add(str(path))
        python = probe(path)
        if python and python.minor not in minors:
            minors.add(python.minor)
            yield python


def find_python():
    """Return the preferred Python, or raise ToolError if there is none."""
    for python in find_pythons():
        return python
    raise ToolError(
        "No Python {}.{} or newer that can make virtual environments was found: "
        "install one (on Debian and Ubuntu the packages are python3 and "
        "python3-venv).".format(*OLDEST_PYTHON)
    )


def launch(module):
    """Run main() of a module of this package, with a Python that is new enough."""
    with one_sentence():
        if sys.version_info < OLDEST_PYTHON:
            python = find_python()
            os.execv(python.path, [python.path] + sys.argv)
        try:
            sys.exit(importlib.import_module("lib." + module).main(sys.argv[1:]))
        except KeyboardInterrupt:
            print("\nInterrupted.")
            sys.exit(INTERRUPTED)


def digest_of(paths):
    """Return one hash over the names and contents of files and folders."""
    result = hashlib.sha256()
    for path in sorted(files_in(paths)):
        result.update(str(path).encode() + b"\0")
        result.update(hashlib.sha256(path.read_bytes()).digest())
    return result.hexdigest()


def files_in(paths):
    """Yield every source file under the paths; what is missing has none."""
    for path in map(Path, paths):
        if path.is_dir():
            for folder, names, files in os.walk(str(path)):
                names[:] = [name for name in names if name != "__pycache__"]
                yield from (Path(folder, name) for name in files)
        elif path.exists():
            yield path


class VirtualEnvironment:
    """
    A virtual environment that is made when needed and kept while it fits.

    Its stamp is written last, so that one that was left unfinished is made anew.
    """

    def __init__(self, name, base, folder=ENVIRONMENTS):
        self.path = Path(folder, name)
        self.base = base
        self.stamp = self.path / "installed.txt"

    @property
    def python(self):
        return str(self.path / "bin" / "python")

    @property
    def identity(self):
        return "{} in {}\n".format(self.base, self.path)

    def environ(self, **extra):
        """Return the variables of a process that runs in this environment."""
        path = os.pathsep.join([str(self.path / "bin"), os.environ.get("PATH", "")])
        return clean_environment(PATH=path, VIRTUAL_ENV=str(self.path), **extra)

    def has(self, arguments, sources):
        """Return whether install() has nothing to do."""
        return self.read_stamp() == self.describe(arguments, sources)

    def describe(self, arguments, sources):
        what = " ".join(map(str, arguments))
        return "{}{}\n{}\n".format(self.identity, what, digest_of(sources))

    def install(self, arguments, sources, log):
        """
        Have pip install ``arguments`` unless the stamp says that it has.

        ``sources`` are the files and folders that the result depends on.
        Return whether anything was done; what pip said is in ``log``.
        """
        with locked(self.path.parent):
            if self.has(arguments, sources):
                return False
            if not self.read_stamp().startswith(self.identity):
                self.create(log)
            write_stamp(self.stamp, self.identity)
            self.pip("install", *arguments, log=log)
            write_stamp(self.stamp, self.describe(arguments, sources))
        return True

    def create(self, log):
        shutil.rmtree(str(self.path), ignore_errors=True)
        run_to_log([self.base.path, "-m", "venv", str(self.path)], log)

    def pip(self, *arguments, log):
        command = [self.python, "-m", "pip", "--disable-pip-version-check"]
        run_to_log(command + list(map(str, arguments)), log, env=self.environ())

    def read_stamp(self):
        return self.stamp.read_text() if self.stamp.exists() else ""

    def packages(self):
        """Return the installed distributions, as a list of name-version."""
        found = self.path.glob("lib/python*/site-packages/*.dist-info")
        return sorted(path.name[: -len(".dist-info")] for path in found)


def write_stamp(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@contextlib.contextmanager
def locked(folder):
    """Let one process at a time work in a folder; the others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(str(folder / "lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_to_log(command, log, env=None):
    """Run a command with its output appended to a log; raise if it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(str(log), "ab") as output:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=INSTALL_SECONDS,
                env=env or clean_environment(),
                cwd=str(ROOT),
            )
            code = done.returncode
        except (OSError, subprocess.TimeoutExpired) as error:
            output.write("{}\n".format(error).encode())
            code = 1
    if code:
        raise ToolError(
            "{} failed: {} (all of it is in {}).".format(
                " ".join(map(str, command)), last_error(log), log
            )
        )


def last_error(log):
    """Return the line of a log that says best why a command failed."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    lines = [line for line in lines if line] or ["it said nothing"]
    errors = [line for line in lines if line.lower().startswith(("error", "e: "))]
    return (errors or lines)[-1].rstrip(".")
