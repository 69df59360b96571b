"""
What docs/intro/channels.txt has its reader do, as steps that a test can take.

Commands stand in ``console`` blocks, files in ``code-block``s with a caption.
"""

import ast
import re
import shlex
import sys
from dataclasses import dataclass
from textwrap import dedent

from .chat import REPOSITORY

TUTORIAL = REPOSITORY / "docs" / "intro" / "channels.txt"

BLOCK = re.compile(
    r"^\.\. (?P<kind>console|code-block)::(?P<language> .*)?\n"
    r"(?P<options>(?:    :.*\n)*)\n"
    r"(?P<body>(?:    .*\n|\n)+)",
    re.MULTILINE,
)
CAPTION = re.compile(r"    :caption: ``(.+)``\n")


@dataclass
class Command:
    """A command, as its words."""

    words: list

    @property
    def args(self):
        """The command for this Python, which need not be on the PATH."""
        programs = {
            "python": [sys.executable],
            "django-admin": [sys.executable, "-m", "django"],
        }
        return [*programs[self.words[0]], *self.words[1:]]


@dataclass
class File:
    """A file, or the assignment that replaces the same one in a file."""

    path: str
    content: str

    def write(self, directory):
        """Create, replace or edit the file in a project."""
        path = directory / self.path
        old = find_assignment(path.read_text(), self.content) if path.exists() else None
        path.parent.mkdir(parents=True, exist_ok=True)
        if old is None:
            path.write_text(self.content)
        else:
            path.write_text(path.read_text().replace(old, self.content.rstrip("\n")))


def find_assignment(source, content):
    """
    Return the assignment in ``source`` to the name that ``content``, which is one
    assignment and nothing else, assigns to; None if there is none.
    """
    try:
        (new,) = ast.parse(content).body
        name = new.targets[0].id
    except (SyntaxError, ValueError, AttributeError):
        return None
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return ast.get_source_segment(source, node)
    return None


def read_steps(text):
    """Return the Commands and Files of a page, in their order."""
    steps = []
    for block in BLOCK.finditer(text):
        body = dedent(block["body"]).rstrip("\n") + "\n"
        if block["kind"] == "console":
            steps += [
                Command(shlex.split(line[2:]))
                for line in body.splitlines()
                if line.startswith("$ ")
            ]
        elif caption := CAPTION.search(block["options"]):
            steps.append(File(caption[1], body))
    return steps
