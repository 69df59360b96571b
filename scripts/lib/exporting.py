"""
Write the diffs of the patches: the same text for the same change, always.

A hunk shows as few of upstream's lines as make its place the only one in the
file where its old lines stand, with a word on either side: blank lines and
rulers alone are no anchor.
"""

import difflib
import re

from .errors import PatchError
from .patching import NO_NEWLINE, occurrences, split_lines


def render(path, old_text, new_text):
    """Return the diff of one file, "" if nothing changed."""
    old, new = split_lines(old_text), split_lines(new_text)
    changes = find_changes(old, new)
    if not changes:
        return ""
    if not old:
        raise PatchError(f"{path} is empty upstream, which leaves a patch no anchor.")
    hunks = join([([change], 1) for change in changes])
    while not all(is_anchored(old, hunk) for hunk in hunks):
        hunks = join(
            [
                hunk if is_anchored(old, hunk) else (hunk[0], hunk[1] + 1)
                for hunk in hunks
            ]
        )
    body = "".join(render_hunk(old, new, hunk) for hunk in hunks)
    return f"--- a/{path}\n+++ b/{path}\n{body}"


def find_changes(old, new):
    """Return (old begin, old end, new begin, new end) for each change, in order."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    matcher = difflib.SequenceMatcher(
        None, old[head : len(old) - tail], new[head : len(new) - tail], autojunk=False
    )
    return [
        (head + i1, head + i2, head + j1, head + j2)
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
        if tag != "equal"
    ]


def join(hunks):
    """Return the (changes, context) pairs; those that touch become one."""
    joined = []
    for changes, context in hunks:
        while joined:
            above, its_context = joined[-1]
            if changes[0][0] - above[-1][1] > context + its_context:
                break
            changes, context = above + changes, max(context, its_context)
            joined.pop()
        joined.append((changes, context))
    return joined


def span(hunk, size):
    """Return where the old lines of a hunk begin and end, context included."""
    changes, context = hunk
    return max(0, changes[0][0] - context), min(size, changes[-1][1] + context)


def is_anchored(old, hunk):
    """Say whether the context tells where the hunk belongs."""
    begin, end = span(hunk, len(old))
    before, after = old[begin : hunk[0][0][0]], old[hunk[0][-1][1] : end]
    return (
        (begin == 0 or re.search(r"\w", "".join(before)) is not None)
        and (end == len(old) or re.search(r"\w", "".join(after)) is not None)
        and len(occurrences(old, old[begin:end])) == 1
    )


def render_hunk(old, new, hunk):
    """Return the text of one hunk."""
    begin, end = span(hunk, len(old))
    changes, _ = hunk
    marked, position = [], begin
    for i1, i2, j1, j2 in changes:
        marked += [" " + line for line in old[position:i1]]
        marked += ["-" + line for line in old[i1:i2]]
        marked += ["+" + line for line in new[j1:j2]]
        position = i2
    marked += [" " + line for line in old[position:end]]
    new_begin = begin + changes[0][2] - changes[0][0]
    new_size = sum(line[0] != "-" for line in marked)
    body = "".join(
        line if line.endswith("\n") else f"{line}\n{NO_NEWLINE}" for line in marked
    )
    return f"@@ -{begin + 1},{end - begin} +{new_begin + 1},{new_size} @@\n{body}"
