import re
import unittest

from lib import patching
from lib.errors import PatchError

TEXT = "one\ntwo\nthree\nfour\nfive\n"
GOOD = """Subject: Added a half.

--- a/django/numbers.py
+++ b/django/numbers.py
@@ -2,2 +2,3 @@
 two
+half
 three
"""


class PatchingTestCase(unittest.TestCase):
    def fails(self, sentence):
        return self.assertRaisesRegex(PatchError, re.escape(sentence))

    def parse(self, text):
        return patching.parse("core/numbers.patch", text)

    def apply(self, text, to=TEXT):
        patch = self.parse(text)
        return patching.apply(patch, patch.diffs[0], to)


class ParsingTests(PatchingTestCase):
    def test_header_and_diffs_are_told_apart(self):
        patch = self.parse(GOOD)
        self.assertEqual(patch.header, "Subject: Added a half.\n\n")
        self.assertEqual(patch.header + patch.body, GOOD)
        self.assertEqual([diff.path for diff in patch.diffs], ["django/numbers.py"])
        self.assertEqual(patch.count("+"), 1)
        self.assertEqual(patch.count("+", "docs/"), 0)
        self.assertEqual(patch.diffs[0].hunks[0].old, ["two\n", "three\n"])

    def test_a_count_of_one_may_be_left_out(self):
        text = GOOD.replace("-2,2 +2,3", "-2 +2,2").replace(" three\n", "")
        self.assertEqual(self.apply(text), TEXT.replace("two\n", "two\nhalf\n"))

    def test_a_removed_line_may_look_like_a_file_name(self):
        text = GOOD.replace("+half\n", "--- a/x\n").replace("2,2 +2,3", "2,3 +2,2")
        result = self.apply(text, "one\ntwo\n-- a/x\nthree\n")
        self.assertEqual(result, "one\ntwo\nthree\n")

    def test_only_a_newline_ends_a_line(self):
        lines = patching.split_lines("a\rb\x0cc\u2028d\r\ne")
        self.assertEqual(lines, ["a\rb\x0cc\u2028d\r\n", "e"])

    def test_a_patch_without_a_diff_is_refused(self):
        with self.fails("patches/core/numbers.patch changes nothing."):
            self.parse("Subject: Nothing.\n")

    def test_a_new_file_is_refused(self):
        with self.fails("line 3: a patch neither creates nor deletes a file"):
            self.parse(GOOD.replace("--- a/django/numbers.py", "--- /dev/null"))

    def test_a_deleted_file_is_refused(self):
        with self.fails("line 4: a patch neither creates nor deletes a file"):
            self.parse(GOOD.replace("+++ b/django/numbers.py", "+++ /dev/null"))

    def test_a_renamed_file_is_refused(self):
        with self.fails("django/numbers.py and django/x.py are two files"):
            self.parse(GOOD.replace("b/django/numbers.py", "b/django/x.py"))

    def test_a_path_out_of_the_tree_is_refused(self):
        for path in ("/etc/passwd", "a/../x", "a/./x", "a//x", "a/", "x"):
            with self.subTest(path=path), self.fails("is no path of the form"):
                self.parse(GOOD.replace("a/django/numbers.py", path))

    def test_a_file_named_twice_is_refused(self):
        body = GOOD[GOOD.index("---") :]
        with self.fails("patches/core/numbers.patch names django/numbers.py twice."):
            self.parse(GOOD + body)

    def test_a_missing_second_name_is_refused(self):
        with self.fails("line 4: found '@@ -2,2 +2,3 @@\\n' where \"+++ b/path\""):
            self.parse(GOOD.replace("+++ b/django/numbers.py\n", ""))

    def test_a_file_without_hunks_is_refused(self):
        with self.fails("django/numbers.py has no hunk."):
            self.parse(GOOD[: GOOD.index("@@")])

    def test_a_malformed_hunk_header_is_refused(self):
        with self.fails("line 5: this is no hunk header."):
            self.parse(GOOD.replace("-2,2 +2,3", "-2,2"))

    def test_a_truncated_hunk_is_refused(self):
        with self.fails("the hunk ends before its counted lines."):
            self.parse(GOOD.replace(" three\n", ""))

    def test_a_hunk_cut_within_a_line_is_refused(self):
        with self.fails("the hunk ends before its counted lines."):
            self.parse(GOOD[:-1])

    def test_a_hunk_with_more_lines_than_counted_is_refused(self):
        with self.fails("""found '+seven\\n' where "--- a/path" belongs."""):
            self.parse(GOOD + "+seven\n")

    def test_a_hunk_whose_counts_do_not_agree_is_refused(self):
        with self.fails("the hunk has more lines than its header counts."):
            self.parse(GOOD.replace("-2,2 +2,3", "-2,1 +2,3"))

    def test_a_line_with_its_blank_mark_stripped_is_refused(self):
        with self.fails("the hunk ends before its counted lines."):
            self.parse(GOOD.replace(" three\n", "\n"))

    def test_a_hunk_without_a_line_of_upstream_is_refused(self):
        text = GOOD.replace("-2,2 +2,3", "-2,0 +3,1").replace(" two\n", "")
        with self.fails("the hunk shows no line of upstream's text."):
            self.parse(text.replace(" three\n", ""))

    def test_what_git_writes_between_files_is_refused(self):
        with self.fails("""found 'index 1..2\\n' where "--- a/path" belongs."""):
            self.parse(GOOD + "index 1..2\n")


class ApplyingTests(PatchingTestCase):
    def test_lines_go_where_the_hunk_says(self):
        self.assertEqual(self.apply(GOOD), TEXT.replace("two\n", "two\nhalf\n"))

    def test_several_hunks_count_in_the_old_lines(self):
        text = GOOD + "@@ -5,1 +6,2 @@\n five\n+six\n"
        self.assertEqual(self.apply(text), "one\ntwo\nhalf\nthree\nfour\nfive\nsix\n")

    def test_lines_are_removed_and_replaced(self):
        text = GOOD.replace(" two\n", "-two\n").replace("-2,2 +2,3", "-2,2 +2,2")
        self.assertEqual(self.apply(text), TEXT.replace("two", "half"))

    def test_an_offset_is_refused(self):
        with self.fails(
            "patches/core/numbers.patch does not apply: hunk 1 of django/numbers.py "
            "expects 'two\\n' in line 2, where there is 'one\\n'."
        ):
            self.apply(GOOD, "zero\n" + TEXT)

    def test_fuzz_is_refused(self):
        with self.fails("expects 'three\\n' in line 3, where there is 'THREE\\n'."):
            self.apply(GOOD, TEXT.replace("three", "THREE"))

    def test_other_white_space_is_refused(self):
        with self.fails("expects 'three\\n' in line 3, where there is 'three \\n'."):
            self.apply(GOOD, TEXT.replace("three", "three "))

    def test_other_line_ends_are_refused(self):
        with self.fails("expects 'two\\n' in line 2, where there is 'two\\r\\n'."):
            self.apply(GOOD, TEXT.replace("\n", "\r\n"))

    def test_a_hunk_beyond_the_end_is_refused(self):
        with self.fails("expects 'three\\n' in line 3, where there is no line."):
            self.apply(GOOD, "one\ntwo\n")

    def test_hunks_out_of_order_are_refused(self):
        body = GOOD[GOOD.index("@@") :]
        with self.fails("hunk 2 of django/numbers.py begins before the end of the"):
            self.apply(GOOD + body)

    def test_the_second_hunk_is_named(self):
        with self.fails("hunk 2 of django/numbers.py expects 'fife\\n' in line 5"):
            self.apply(GOOD + "@@ -5,1 +6,2 @@\n fife\n+six\n")

    def test_a_missing_newline_at_the_end_is_kept(self):
        text = GOOD.replace(" three\n", f" three\n{patching.NO_NEWLINE}")
        self.assertEqual(self.apply(text, "one\ntwo\nthree"), "one\ntwo\nhalf\nthree")

    def test_a_missing_newline_at_the_end_counts(self):
        with self.fails("expects 'three\\n' in line 3, where there is 'three'."):
            self.apply(GOOD, "one\ntwo\nthree")

    def test_a_newline_at_the_end_can_be_added(self):
        text = GOOD.replace("2,2 +2,3", "2,2 +2,2").replace("+half\n", "")
        text = text.replace(" three\n", f"-three\n{patching.NO_NEWLINE}+three\n")
        self.assertEqual(self.apply(text, "one\ntwo\nthree"), "one\ntwo\nthree\n")


class RelocationTests(PatchingTestCase):
    def relocate(self, text):
        patch = self.parse(GOOD)
        return patching.relocate(patch, patch.diffs[0], text)

    def test_the_distance_is_told(self):
        self.assertEqual(self.relocate(TEXT), [0])
        self.assertEqual(self.relocate("zero\nzero\n" + TEXT), [2])
        self.assertEqual(self.relocate(TEXT.removeprefix("one\n")), [-1])

    def test_two_possible_places_are_none(self):
        with self.fails("hunk 1 of django/numbers.py has 2 places to go to"):
            self.relocate(TEXT + TEXT)

    def test_a_lost_place_is_named(self):
        with self.fails("hunk 1 of django/numbers.py has no places to go to"):
            self.relocate(TEXT.replace("two\n", "two\nhalf\n"))
