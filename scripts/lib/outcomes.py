"""
What became of every test of a run, and how two runs differ.

``recording/outcome_runner.py`` writes the files that are read here.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from .errors import ToolError

GOOD = ("passed", "expected failure")
SKIPPED = "skipped: "
ABSENT = ("absent",)
# In place of the folder a tree is in, which two runs do not share.
TREE_MARK = "<tree>"


@dataclass(frozen=True)
class Difference:
    """A test whose outcomes are not the same on both sides."""

    test: str
    pristine: tuple
    built: tuple
    fault: str

    def __str__(self):
        lines = [
            self.test,
            f"    pristine: {', '.join(self.pristine)}",
            f"    built:    {', '.join(self.built)}",
        ]
        return "\n".join(lines + [f"    {line}" for line in self.fault.splitlines()])


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of each test id (sorted; ids may repeat) and their faults."""

    tests: dict
    faults: dict

    @classmethod
    def read(cls, path, tree=None):
        """Read a file of outcomes; mentions of the folder ``tree`` are masked."""
        try:
            text = Path(path).read_text(encoding="utf-8")
            data = json.loads(text)
            recorded, faults = data["outcomes"], data["faults"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ToolError(f"{path} has no outcomes of tests: {error!r}.") from error
        if tree is not None:
            recorded = mask(recorded, str(tree))
        tests = {test: tuple(sorted(found)) for test, found in recorded.items()}
        return cls(tests, faults)

    def write(self, path):
        data = {"outcomes": self.tests, "faults": self.faults}
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(data), encoding="utf-8")

    def count(self):
        """Return how many tests passed, failed and were skipped."""
        passed = failed = skipped = 0
        for found in self.tests.values():
            if not all(o in GOOD or o.startswith(SKIPPED) for o in found):
                failed += 1
            elif all(o.startswith(SKIPPED) for o in found):
                skipped += 1
            else:
                passed += 1
        return passed, failed, skipped


def mask(value, tree):
    """Return a copy of JSON data in which no text mentions the folder ``tree``."""
    if isinstance(value, str):
        return value.replace(tree, TREE_MARK)
    if isinstance(value, list):
        return [mask(item, tree) for item in value]
    return {mask(key, tree): mask(item, tree) for key, item in value.items()}


def differences(pristine, built):
    """Return the differences between two runs; an absent test is one too."""
    found = []
    for test in sorted(pristine.tests.keys() | built.tests.keys()):
        before = pristine.tests.get(test, ABSENT)
        after = built.tests.get(test, ABSENT)
        if before != after:
            fault = built.faults.get(test) or pristine.faults.get(test, "")
            found.append(Difference(test, before, after, fault))
    return found
