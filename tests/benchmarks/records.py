"""What stays of a benchmark: where, when and how it ran, and every number."""

import json
import os
import platform
import subprocess
import time
from pathlib import Path

from lib import ROOT

from .sides import WORK

# What the numbers depend on, among the packages that are installed.
PACKAGES = ("asgiref", "autobahn", "channels", "daphne", "django-", "gunicorn")
PACKAGES += ("hiredis", "lmdb", "msgpack", "msgspec", "picows", "psycopg", "redis-")
PACKAGES += ("httptools", "twisted", "uvicorn", "uvloop")


def circumstances(environment, command):
    """Return when and where a benchmark runs, of what, and by which command."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "command": " ".join(map(str, command)),
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.platform()}",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "python": environment.base.version,
        "packages": [
            name for name in environment.packages() if name.lower().startswith(PACKAGES)
        ],
        "revision": revision(),
    }


def processor():
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def revision():
    """Return the commit of the repository, and whether files differ from it."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown: {error}"
    return done.stdout.strip() or f"unknown: {done.stderr.strip()}"


def save(name, record):
    """Write a record as JSON; return its path."""
    WORK.mkdir(parents=True, exist_ok=True)
    path = WORK / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path
