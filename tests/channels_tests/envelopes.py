"""The examples of specs/envelopes.rst, as data."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Optional

# Of a checkout and of the built tree alike.
PATH = Path(__file__).parents[2] / "specs" / "envelopes.rst"

_example_re = re.compile(r"   # (.*)\n((?:   .*\n)+)")


class Example(NamedTuple):
    """An envelope and what is in it, if it is a good one."""

    title: str
    content: Optional[tuple]
    envelope: bytes


@lru_cache
def read_examples():
    """Return {section: [Example, …]} for the four sections with examples."""
    text = PATH.read_text(encoding="utf-8")
    _, plain, encrypted, accepted, refused = re.split(
        r"digits::\n|``::\n|writes them so::\n|are refused::\n", text
    )
    sections = {
        "plain": plain,
        "encrypted": encrypted,
        "accepted": accepted,
        "refused": refused,
    }
    return {name: _parse(section) for name, section in sections.items()}


def _parse(section):
    return [_parse_one(*found) for found in _example_re.findall(section)]


def _parse_one(title, lines):
    content, _, envelope = lines.partition("   =")
    content = tuple(_restore(json.loads(content))) if content else None
    return Example(title, content, bytes.fromhex(envelope.replace("=", "")))


def _restore(value):
    if isinstance(value, dict):
        return {key: _restore(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_restore(item) for item in value]
    if isinstance(value, str) and value.startswith("hex:"):
        return bytes.fromhex(value[4:])
    return value
