"""
What the scripts share: the pinned upstream, the patches, the built tree.

Everything here is pure Python without dependencies, because setup.py uses it
inside pip's isolated build.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
