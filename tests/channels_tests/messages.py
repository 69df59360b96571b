"""Holds messages against the tables of the protocol specifications."""

from functools import lru_cache
from pathlib import Path

from .specs import message_tables

SPECS = Path(__file__).resolve().parents[2] / "specs" / "protocols"


@lru_cache
def get_tables():
    """Return {message: {key: its row}} of all protocols."""
    tables = {}
    for path in sorted(SPECS.glob("*.rst")):
        tables.update(message_tables(path))
    return tables


def assert_specified(test, message, name=None):
    """Fail ``test`` unless a message is as its table says."""
    table = get_tables()[name or message["type"]]
    unknown = set(message) - set(table)
    test.assertFalse(unknown, f"{name} has keys that no table lists.")
