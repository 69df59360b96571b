from lib import overlay, rules
from lib.errors import EditedError, PatchError
from lib.refreshing import Refresh

from .repository import HEADER, PATCH, RepositoryTestCase


class RefreshTests(RepositoryTestCase):
    def setUp(self):
        super().setUp()
        self.path = "django/conf/settings.py"

    def refresh(self, **options):
        return Refresh(self.tree(), **options)

    def patch(self, name="core/settings.patch"):
        return (self.root / "patches" / name).read_text()

    def test_a_refresh_without_edits_changes_nothing(self):
        self.build()
        self.assertEqual(self.refresh().write(), [])
        self.assertEqual(self.patch(), HEADER + PATCH)

    def test_an_edit_is_exported_under_the_same_header(self):
        self.build()
        self.edit(self.path, "SETTING = {}", "SETTING = []")
        self.assertEqual(self.refresh().write(), ["core/settings.patch"])
        self.assertEqual(self.patch(), HEADER + PATCH.replace("{}", "[]"))
        self.assertEqual(self.build().edited, [])
        self.assertEqual(self.refresh().write(), [])

    def test_a_wide_patch_becomes_narrow(self):
        wide = PATCH.replace("4,2 +4,3", "3,3 +3,4").replace(
            " LINE_4", " LINE_3 = 3\n LINE_4"
        )
        self.write_series("core/settings.patch", HEADER + wide)
        self.build()
        self.refresh().write()
        self.assertEqual(self.patch(), HEADER + PATCH)

    def test_a_header_may_be_rewritten_meanwhile(self):
        self.build()
        self.edit(self.path, "SETTING = {}", "SETTING = []")
        header = HEADER.replace("It has", "It had")
        self.write_series("core/settings.patch", header + PATCH)
        self.refresh().write()
        self.assertEqual(self.patch(), header + PATCH.replace("{}", "[]"))

    def test_a_newer_patch_is_not_overwritten_by_an_older_tree(self):
        self.build()
        newer = HEADER + PATCH.replace("{}", "[]")
        self.write_series("core/settings.patch", newer)
        with self.fails(
            "patches/core/settings.patch has changed since build/ was made", EditedError
        ):
            self.refresh()
        self.assertEqual(self.patch(), newer)
        self.refresh(force=True).write()
        self.assertEqual(self.patch(), HEADER + PATCH)

    def test_a_tree_is_needed(self):
        with self.fails("build/ is not made of the pinned upstream release"):
            self.refresh()

    def test_a_patch_that_would_be_empty_is_not_written(self):
        self.build()
        self.edit(self.path, "SETTING = {}\n", "")
        with self.fails(
            "patches/core/settings.patch would change nothing any more: delete it and "
            "its line in patches/series."
        ):
            self.refresh().write()
        self.assertEqual(self.patch(), HEADER + PATCH)

    def test_a_new_patch_owns_its_files(self):
        self.build()
        self.edit("django/urls.py", "import os\n", "import os\nimport re\n")
        work = self.refresh()
        self.assertEqual(work.find_unowned(), ["django/urls.py"])
        work.create("core/urls", ["build/django/urls.py"])
        self.assertEqual(work.write(), ["core/urls.patch"])
        self.assertEqual(work.find_unowned(), [])
        self.assertTrue(self.patch("core/urls.patch").startswith("Subject:\nWhy:\n"))
        series = (self.root / "patches/series").read_text()
        self.assertTrue(series.endswith("core/settings.patch\ncore/urls.patch\n"))
        problems = rules.find_problems(self.root, self.tree().pristine())
        self.assertEqual(len(problems), len(rules.FIELDS))
        self.assertEqual(problems[0], "patches/core/urls.patch: Subject: is empty.")

    def test_a_new_patch_makes_the_same_tree(self):
        self.build()
        self.edit("django/urls.py", "import os\n", "import os\nimport re\n")
        work = self.refresh()
        work.create("core/urls.patch", ["django/urls.py"])
        work.write()
        before = self.built("django/urls.py")
        self.build(force=True)
        self.assertEqual(self.built("django/urls.py"), before)

    def test_a_patch_can_be_given_more_files(self):
        self.build()
        self.edit("django/urls.py", "paths = []", "paths = [1]\n")
        work = self.refresh()
        work.add("core/settings", ["django/urls.py"])
        work.write()
        self.assertTrue(self.patch().startswith(HEADER + PATCH))
        self.assertIn("\n-paths = []\n\\ No newline at end of file\n", self.patch())
        self.assertEqual(self.refresh().write(), [])

    def test_an_existing_patch_is_not_new(self):
        self.build()
        with self.fails("patches/core/settings.patch is there already: use --add."):
            self.refresh().create("core/settings", [])

    def test_a_missing_patch_is_given_no_files(self):
        self.build()
        with self.fails("There is no patches/core/urls.patch: use --new."):
            self.refresh().add("core/urls", [])

    def test_a_bad_name_is_refused(self):
        self.build()
        for name in ("urls", "core/2-urls", "other/urls", "../urls"):
            with self.subTest(name=name), self.fails("is not core/SLUG or docs/SLUG"):
                self.refresh().create(name, [])

    def test_a_file_of_another_patch_is_refused(self):
        self.build()
        self.edit(self.path, "SETTING = {}", "SETTING = []")
        with self.fails(
            "django/conf/settings.py belongs to patches/core/settings.patch already.",
            PatchError,
        ):
            self.refresh().create("core/urls", [self.path])

    def test_a_file_that_is_not_edited_is_refused(self):
        self.build()
        for path in ("django/urls.py", "django/channels/__init__.py", "nowhere"):
            with self.subTest(path=path), self.fails("is no file of upstream's edited"):
                self.refresh().create("core/urls", [path])

    def test_a_deleted_file_is_told(self):
        self.build()
        (self.root / "build" / self.path).unlink()
        with self.fails("build/django/conf/settings.py is no text file"):
            self.refresh().write()

    def test_nothing_is_written_when_one_patch_fails(self):
        self.build()
        self.edit("django/urls.py", "import os\n", "import os\nimport re\n")
        self.edit(self.path, "SETTING = {}\n", "")
        work = self.refresh()
        work.create("core/urls", ["django/urls.py"])
        with self.fails("would change nothing any more"):
            work.write()
        self.assertFalse((self.root / "patches/core/urls.patch").exists())
        self.assertEqual(len(overlay.walk(self.root / "patches")), 3)
