"""
What ./scripts/quickstart does: install the branch and start the chat.

It becomes the development server in the end, so that Ctrl-C and every argument
reach ``manage.py runserver``.
"""

import os
import socket

from . import ROOT
from .environment import VirtualEnvironment, find_python, run_to_log
from .errors import ToolError

PROJECT = ROOT / "examples" / "chat"
# What the installed branch is made from: a change installs it again.
SOURCES = ["django", "patches", "scripts/lib", "setup.py", "pyproject.toml"]
SOURCES += ["MANIFEST.in", "README.rst"]
EXTRA = ".[channels]"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = "8000"


def read_address(environ):
    """Return the host and the port that HOST= and PORT= ask for."""
    host = environ.get("HOST") or DEFAULT_HOST
    port = environ.get("PORT") or DEFAULT_PORT
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ToolError(f"PORT is {port!r}; it must be a number from 1 to 65535.")
    return host, int(port)


def display(host, port):
    """Return host and port as runserver and addresses write them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_port(host, port):
    """Raise ToolError if no server can listen there."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        other = 8001 if port != 8001 else 8002
        raise ToolError(
            f"{display(host, port)} cannot be listened on ({error.strerror}): choose "
            f"another PORT or HOST, for example PORT={other} ./scripts/quickstart."
        ) from error


def prepare(environment, log):
    """Install the branch if it changed and bring the database up to date."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    sources = [ROOT / name for name in SOURCES]
    if environment.has([EXTRA], sources):
        print(f"The branch is installed in {environment.path}.", flush=True)
    else:
        print(f"Installing the branch for {environment.base} ...", flush=True)
        environment.install([EXTRA], sources, log)
    command = [environment.python, str(PROJECT / "manage.py"), "migrate"]
    run_to_log(command, log, env=environment.environ())


def main(arguments):
    """Install, migrate and become the server."""
    host, port = read_address(os.environ)
    check_port(host, port)
    python = find_python()
    environment = VirtualEnvironment("quickstart", python)
    prepare(environment, environment.path.parent / "quickstart.log")
    shown = "localhost" if host in ("0.0.0.0", "::") else host
    print(f"\nOpen http://{display(shown, port)}/ in your browser.\n", flush=True)
    command = [environment.python, "manage.py", "runserver", display(host, port)]
    os.chdir(PROJECT)
    os.execve(environment.python, [*command, *arguments], environment.environ())
