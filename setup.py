"""
Build the distribution: upstream's installed files, ours and the series.

The metadata is in pyproject.toml, the work in scripts/lib/packaging.py.
"""

import sys
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "scripts"))

from lib import packaging, upstream  # NOQA: E402

setup(
    version=upstream.read_pin(ROOT).branch_version,
    packages=["django"],
    cmdclass=packaging.COMMANDS,
)
