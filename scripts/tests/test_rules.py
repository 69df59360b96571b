import unittest
from pathlib import Path

from lib import ROOT, rules, series

from .repository import HEADER, PATCH, UPSTREAM, RepositoryTestCase, write_files

DOCS = """--- a/docs/index.txt
+++ b/docs/index.txt
@@ -4,2 +4,3 @@
 * One
+* Channels
 * Two
"""


def insertion(path, added):
    """Return a diff that adds lines to a file of twenty lines."""
    lines = "".join(f"+new {number}\n" for number in range(added))
    return (
        f"--- a/{path}\n+++ b/{path}\n@@ -5,2 +5,{added + 2} @@\n"
        f" line 5\n{lines} line 6\n"
    )


class RulesTests(RepositoryTestCase):
    def problems(self):
        return rules.find_problems(self.root, self.tree().pristine())

    def assertProblem(self, sentence):
        self.assertIn(sentence, self.problems())

    def pin_long_files(self, count):
        text = "".join(f"line {number}\n" for number in range(1, 21))
        paths = [f"django/{letter}.py" for letter in "abcdefghij"[:count]]
        self.pin({**UPSTREAM, **dict.fromkeys(paths, text)})
        return paths

    def test_a_good_series_has_no_problems(self):
        patches = ("core/settings.patch", HEADER + PATCH, "docs/i.patch", HEADER + DOCS)
        self.write_series(*patches)
        self.assertEqual(self.problems(), [])

    def test_an_empty_series_has_no_problems(self):
        self.write_series()
        self.assertEqual(self.problems(), [])

    def test_a_patch_out_of_the_series_is_told(self):
        write_files(self.root, {"patches/core/stray.patch": HEADER + PATCH})
        self.assertEqual(
            self.problems(), ["patches/core/stray.patch is not in patches/series."]
        )

    def test_any_stray_file_is_told(self):
        write_files(self.root, {"patches/core/settings.patch.orig": "junk"})
        self.assertProblem("patches/core/settings.patch.orig is not in patches/series.")

    def test_a_missing_patch_is_told(self):
        self.write_series()
        write_files(self.root, {"patches/series": "core/lost.patch\n"})
        [problem] = self.problems()
        self.assertIn("patches/series names core/lost.patch, which cannot be", problem)

    def test_a_patch_listed_twice_is_told(self):
        text = "core/settings.patch\ncore/settings.patch\n"
        write_files(self.root, {"patches/series": text})
        self.assertEqual(
            self.problems(), ["patches/series names core/settings.patch twice."]
        )

    def test_a_name_with_a_number_is_told(self):
        for name in ("core/01-settings.patch", "core/Settings.patch", "x/y.patch"):
            self.write_series(name, HEADER + PATCH)
            with self.subTest(name=name):
                self.assertProblem(
                    f"patches/series names {name}, but a name is core/ or docs/, a "
                    "slug without numbers, and .patch."
                )
            (self.root / "patches" / name).unlink()

    def test_an_incomplete_header_is_told(self):
        incomplete = HEADER.replace("Forwarded: No.\n", "")
        swapped = "Forwarded: No.\n" + incomplete
        for header in ("", incomplete, swapped, HEADER + HEADER):
            self.write_series("core/settings.patch", header + PATCH)
            with self.subTest(header=header):
                self.assertProblem(
                    "patches/core/settings.patch: the header must have, in order, "
                    "Subject:, Why:, Not otherwise possible:, Remove when:, Anchor:, "
                    "Forwarded:"
                )

    def test_an_empty_field_is_told(self):
        header = HEADER.replace("Anchor: After the cache section.", "Anchor:")
        self.write_series("core/settings.patch", header + PATCH)
        self.assertProblem("patches/core/settings.patch: Anchor: is empty.")

    def test_a_line_of_no_field_is_told(self):
        header = HEADER.replace("Why:", "Because:")
        self.write_series("core/settings.patch", header + PATCH)
        self.assertProblem(
            "patches/core/settings.patch: 'Because: It has' is in no field of the "
            "header."
        )

    def test_a_file_that_the_folder_does_not_allow_is_told(self):
        self.write_series("core/index.patch", HEADER + DOCS)
        self.assertProblem(
            "patches/core/index.patch changes docs/index.txt, which is not under "
            "django/."
        )

    def test_a_patch_that_does_not_apply_is_told(self):
        bad = PATCH.replace("LINE_4 = 4", "LINE_4 = 40")
        self.write_series("core/settings.patch", HEADER + bad)
        self.assertProblem(
            "patches/core/settings.patch does not apply: hunk 1 of "
            "django/conf/settings.py expects 'LINE_4 = 40\\n' in line 4, where there "
            "is 'LINE_4 = 4\\n'."
        )

    def test_a_patch_that_refresh_would_write_otherwise_is_told(self):
        wide = PATCH.replace("4,2 +4,3", "3,3 +3,4").replace(
            " LINE_4", " LINE_3 = 3\n LINE_4"
        )
        described = PATCH.replace("@@\n", "@@ class Settings:\n")
        miscounted = PATCH.replace("+4,3", "+9,3")
        for diff in (wide, described, miscounted):
            self.write_series("core/settings.patch", HEADER + diff)
            with self.subTest(diff=diff):
                self.assertProblem(
                    "patches/core/settings.patch is not in the form that refresh "
                    "writes: run scripts/build_tree.py and scripts/patches.py refresh."
                )

    def test_a_file_in_two_patches_is_told(self):
        text = HEADER + PATCH
        self.write_series("core/one.patch", text, "core/two.patch", text)
        self.assertProblem(
            "django/conf/settings.py is changed by core/one.patch and core/two.patch; "
            "one file belongs to one patch."
        )

    def test_a_seventh_concern_is_told(self):
        paths = self.pin_long_files(7)
        patches = []
        for number, path in enumerate(paths):
            slug = f"core/{'abcdefg'[number]}.patch"
            patches += [slug, HEADER + insertion(path, 1)]
        self.write_series(*patches[:-2])
        self.assertEqual(self.problems(), [])
        self.write_series(*patches)
        self.assertEqual(
            self.problems(),
            ["patches/core has 7 patches; at most 6 concerns are allowed."],
        )

    def test_the_sixty_first_line_is_told(self):
        paths = self.pin_long_files(6)
        diffs = [insertion(path, 10) for path in paths]
        self.write_series("core/hooks.patch", HEADER + "".join(diffs))
        self.assertEqual(self.problems(), [])
        diffs[0] = insertion(paths[0], 11)
        self.write_series("core/hooks.patch", HEADER + "".join(diffs))
        self.assertEqual(
            self.problems(),
            ["The series adds 61 lines under django/; at most 60 are allowed."],
        )

    def test_more_than_a_hook_in_one_file_is_told(self):
        [path] = self.pin_long_files(1)
        self.write_series("core/hook.patch", HEADER + insertion(path, 13))
        self.assertEqual(
            self.problems(),
            [
                "patches/core/hook.patch adds 13 lines to django/a.py; at most 12 are "
                "allowed."
            ],
        )

    def test_a_build_of_another_release_is_told(self):
        write_files(self.root, {"pyproject.toml": 'requires = ["Mini==0.9"]\n'})
        self.assertEqual(
            self.problems(),
            ['pyproject.toml does not require "Mini==1.0" for the build.'],
        )

    def test_every_problem_is_told_at_once(self):
        write_files(self.root, {"pyproject.toml": "", "patches/stray": ""})
        self.write_series("core/one.patch", PATCH, "core/bad.patch", "nothing")
        self.assertEqual(len(self.problems()), 4)


class ThisRepositoryTests(unittest.TestCase):
    def test_there_is_no_package_that_would_hide_the_installed_one(self):
        self.assertFalse(Path(ROOT, "django/__init__.py").exists())

    def test_the_series_can_be_read(self):
        names = series.read_names(ROOT)
        self.assertEqual([patch.name for patch in series.load(ROOT)], names)
