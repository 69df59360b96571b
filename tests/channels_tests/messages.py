"""Holds messages against the tables of the protocol specifications."""

from functools import lru_cache

from .specs import ROOT, message_tables


@lru_cache
def get_tables():
    """Return {message: {key: Key}} of all protocols."""
    return message_tables(ROOT / "specs" / "protocols")


def assert_specified(test, message, name=None):
    """
    Fail ``test`` unless a message is as its table says.

    ``name`` is the table's, if the message itself does not carry its type.
    """
    table = get_tables()[name or message["type"]]
    unknown = set(message) - set(table)
    test.assertFalse(unknown, f"{name} has keys that its table does not list.")
    for key, (types, optional, _) in table.items():
        if key in message:
            test.assertIn(type(message[key]), types, f"{key} of {message!r}")
        else:
            test.assertTrue(optional, f"{message!r} lacks {key}.")
