import random
import re
import unittest

from lib import patching
from lib.errors import PatchError
from lib.exporting import render

TEXT = "".join(f"line {number}\n" for number in range(1, 21))


class ExportingTests(unittest.TestCase):
    def test_an_unchanged_file_has_no_diff(self):
        self.assertEqual(render("django/x.py", TEXT, TEXT), "")

    def test_one_line_of_context_is_enough_where_it_is_unique(self):
        diff = render("django/x.py", TEXT, TEXT.replace("line 5\n", "line 5\nnew\n"))
        self.assertEqual(
            diff,
            "--- a/django/x.py\n+++ b/django/x.py\n"
            "@@ -5,2 +5,3 @@\n line 5\n+new\n line 6\n",
        )

    def test_context_grows_until_the_place_is_the_only_one(self):
        text = "first\n" + "same\nother\n" * 3 + "last\n"
        lines = patching.split_lines(text)
        new = "".join(lines[:3] + ["new\n"] + lines[3:])
        self.assertIn("@@ -1,6 +1,7 @@\n first\n same\n", render("x", text, new))

    def test_blank_lines_and_rulers_are_no_anchor(self):
        text = "#######\n# ONE #\n#######\n\nONE = 1\n\n#######\n# TWO #\n#######\n"
        new = text.replace("ONE = 1\n", "ONE = 1\n\nHALF = 2\n")
        self.assertIn("\n ONE = 1\n \n+HALF = 2\n+\n ####", render("x", text, new))

    def test_changes_whose_context_touches_share_a_hunk(self):
        new = TEXT.replace("line 5\n", "").replace("line 9\n", "")
        self.assertEqual(render("x", TEXT, new).count("@@ -"), 2)
        new = TEXT.replace("line 5\n", "").replace("line 8\n", "")
        self.assertEqual(render("x", TEXT, new).count("@@ -"), 1)

    def test_a_missing_newline_at_the_end_is_marked(self):
        diff = render("x", "one\ntwo", "one\nhalf\ntwo")
        self.assertTrue(diff.endswith(f"\n two\n{patching.NO_NEWLINE}"), diff)

    def test_an_empty_file_has_no_anchor(self):
        sentence = "django/x.py is empty upstream, which leaves a patch no anchor."
        with self.assertRaisesRegex(PatchError, re.escape(sentence)):
            render("django/x.py", "", "new\n")

    def test_what_is_written_applies_and_is_written_again(self):
        chance = random.Random(7)
        words = ["a\n", "b\n", "c\n", "\n", "---\n", "+++ b/x\n", "@@ -1 +1 @@\n"]
        for round in range(300):
            old = chance.choices(words, k=chance.randint(1, 30))
            new = list(old)
            for _ in range(chance.randint(1, 5)):
                index = chance.randint(0, len(new))
                new[index : index + chance.randint(0, 2)] = chance.choices(words, k=1)
            old, new = "".join(old), "".join(new)
            if chance.random() < 0.3:
                new = new.removesuffix("\n")
            if chance.random() < 0.3:
                old = old.removesuffix("\n") or "\n"
            diff = render("x", old, new)
            if not diff:
                continue
            with self.subTest(round=round, old=old, new=new):
                patch = patching.parse("core/x.patch", diff)
                self.assertEqual(patching.apply(patch, patch.diffs[0], old), new)
                self.assertEqual(render("x", old, new), diff)
