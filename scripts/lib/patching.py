"""
Read unified diffs and apply them strictly.

Strictly means: every hunk begins exactly in the line that it names and finds
exactly the lines that it expects. There is no fuzz and no offset, so a series
that applies gives the same tree everywhere. relocate() is the canary's way to
say how far a newer release has moved; nothing is built with it.
"""

import re
from dataclasses import dataclass, field

from .errors import PatchError

HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
NO_NEWLINE = "\\ No newline at end of file\n"


@dataclass(frozen=True)
class Hunk:
    """Lines with their marks, and the line (from 1) where the old ones begin."""

    start: int
    marked: tuple

    @property
    def old(self):
        return [line[1:] for line in self.marked if line[0] in " -"]

    @property
    def new(self):
        return [line[1:] for line in self.marked if line[0] in " +"]

    def count(self, mark):
        return sum(line[0] == mark for line in self.marked)


@dataclass(frozen=True)
class FileDiff:
    """The hunks of one file."""

    path: str
    hunks: tuple

    def count(self, mark):
        return sum(hunk.count(mark) for hunk in self.hunks)


@dataclass(frozen=True)
class Patch:
    """A named patch: its header and its body as written, and the diffs in it."""

    name: str
    header: str
    body: str = field(repr=False)
    diffs: tuple = field(repr=False)

    def count(self, mark, under=""):
        return sum(d.count(mark) for d in self.diffs if d.path.startswith(under))


def split_lines(text):
    """Return the lines of a text with their ends; only a newline ends a line."""
    lines = text.split("\n")
    last = lines.pop()
    return [line + "\n" for line in lines] + ([last] if last else [])


class _Reader:
    """The lines of one patch file, read once from the top."""

    def __init__(self, name, text):
        self.name = name
        self.lines = split_lines(text)
        self.index = 0

    def peek(self):
        return self.lines[self.index] if self.index < len(self.lines) else ""

    def next(self):
        line = self.peek()
        self.index += 1
        return line

    def fail(self, problem):
        raise PatchError(f"patches/{self.name}, line {self.index}: {problem}")


def parse(name, text):
    """Return the Patch that a text describes; refuse what is not understood."""
    reader = _Reader(name, text)
    header = []
    while reader.peek() and not reader.peek().startswith("--- "):
        header.append(reader.next())
    body = "".join(reader.lines[reader.index :])
    diffs = []
    while reader.peek():
        diffs.append(_parse_file(reader))
    if not diffs:
        raise PatchError(f"patches/{name} changes nothing.")
    paths = [diff.path for diff in diffs]
    for path in paths:
        if paths.count(path) > 1:
            raise PatchError(f"patches/{name} names {path} twice.")
    return Patch(name, "".join(header), body, tuple(diffs))


def _parse_file(reader):
    old = _parse_path(reader, "--- ", "a/")
    new = _parse_path(reader, "+++ ", "b/")
    if old != new:
        reader.fail(f"{old} and {new} are two files; a patch cannot rename.")
    hunks = []
    while reader.peek().startswith("@@ "):
        hunks.append(_parse_hunk(reader))
    if not hunks:
        reader.next()
        reader.fail(f"{old} has no hunk.")
    return FileDiff(old, tuple(hunks))


def _parse_path(reader, mark, prefix):
    line = reader.next()
    if not line.startswith(mark):
        reader.fail(f'found {line!r} where "{mark}{prefix}path" belongs.')
    path = line[len(mark) :].rstrip("\n")
    if path == "/dev/null":
        reader.fail(
            "a patch neither creates nor deletes a file; what is new belongs in "
            "the repository itself."
        )
    parts = path.split("/")
    if not path.startswith(prefix) or {"", ".", ".."} & set(parts):
        reader.fail(f"{path!r} is no path of the form {prefix}django/conf/urls.py.")
    return path[len(prefix) :]


def _parse_hunk(reader):
    match = HUNK.match(reader.next())
    if not match:
        reader.fail("this is no hunk header.")
    start = int(match[1])
    old, new = (1 if match[n] is None else int(match[n]) for n in (2, 4))
    marked = []
    while old > 0 or new > 0:
        line = reader.next()
        mark = line[:1]
        if not line.endswith("\n") or mark not in (" ", "-", "+"):
            reader.fail("the hunk ends before its counted lines.")
        old -= mark in " -"
        new -= mark in " +"
        marked.append(line)
        if reader.peek() == NO_NEWLINE:
            reader.next()
            marked[-1] = line[:-1]
    if old or new:
        reader.fail("the hunk has more lines than its header counts.")
    if not start or all(line[0] == "+" for line in marked):
        reader.fail("the hunk shows no line of upstream's text.")
    return Hunk(start, tuple(marked))


def apply(patch, diff, text):
    """Return the text of one file with the hunks of its diff applied strictly."""
    lines = split_lines(text)
    result, position = [], 0
    for number, hunk in enumerate(diff.hunks, 1):
        begin = hunk.start - 1
        where = f"hunk {number} of {diff.path}"
        if begin < position:
            raise PatchError(
                f"patches/{patch.name} does not apply: {where} begins before the "
                "end of the one above it."
            )
        for offset, expected in enumerate(hunk.old):
            found = lines[begin + offset] if begin + offset < len(lines) else None
            if found != expected:
                raise PatchError(
                    f"patches/{patch.name} does not apply: {where} expects "
                    f"{expected!r} in line {hunk.start + offset}, where there is "
                    + ("no line." if found is None else f"{found!r}.")
                )
        result += lines[position:begin] + hunk.new
        position = begin + len(hunk.old)
    return "".join(result + lines[position:])


def occurrences(lines, wanted, begin=0):
    """Return every index from ``begin`` on where the lines ``wanted`` stand."""
    size = len(wanted)
    return [
        index
        for index in range(begin, len(lines) - size + 1)
        if lines[index] == wanted[0] and lines[index : index + size] == wanted
    ]


def relocate(patch, diff, text):
    """Return how many lines each hunk's one place in ``text`` is further down."""
    lines = split_lines(text)
    offsets, position = [], 0
    for number, hunk in enumerate(diff.hunks, 1):
        places = occurrences(lines, hunk.old, position)
        if len(places) != 1:
            raise PatchError(
                f"hunk {number} of {diff.path} has "
                f"{len(places) or 'no'} places to go to"
            )
        offsets.append(places[0] - (hunk.start - 1))
        position = places[0] + len(hunk.old)
    return offsets
