from lib.errors import EditedError

from .repository import (
    HEADER,
    PATCH,
    PATCHED,
    UPSTREAM,
    RepositoryTestCase,
    write_files,
)


class EditedTreeTests(RepositoryTestCase):
    """What is edited in the built tree and not exported yet is not lost."""

    def setUp(self):
        super().setUp()
        self.build()
        self.path = "django/conf/settings.py"
        self.edit(self.path, "LINE_7 = 7", "LINE_7 = 'seven'")
        self.edited = self.built(self.path)

    def assertEditKept(self):
        self.assertEqual(self.built(self.path), self.edited)

    def test_an_edit_is_told_and_left(self):
        self.assertEqual(self.build().edited, [self.path])
        self.assertEqual(self.build().edited, [self.path])
        self.assertEditKept()

    def test_force_drops_it(self):
        self.assertEqual(self.build(force=True).edited, [])
        self.assertEqual(self.built(self.path), PATCHED)

    def test_a_changed_patch_of_the_file_is_not_applied(self):
        self.write_series("core/settings.patch", HEADER + PATCH.replace("{}", "[]"))
        with self.fails(
            "django/conf/settings.py would lose what was edited in the built tree",
            EditedError,
        ):
            self.build()
        self.assertEditKept()

    def test_a_dropped_patch_of_the_file_is_not_reverted(self):
        self.write_series()
        with self.fails("django/conf/settings.py would lose", EditedError):
            self.build()
        self.assertEditKept()

    def test_a_new_patch_of_an_edited_file_is_not_applied(self):
        self.edit("django/urls.py", "paths = []", "paths = [1]")
        diff = "--- a/django/urls.py\n+++ b/django/urls.py\n"
        diff += "@@ -1,1 +1,2 @@\n import os\n+import re\n"
        text = HEADER + PATCH
        self.write_series("core/settings.patch", text, "core/urls.patch", HEADER + diff)
        with self.fails("django/urls.py would lose what was edited", EditedError):
            self.build()
        self.assertEqual(self.built("django/urls.py"), "import os\n\npaths = [1]")

    def test_a_patch_that_says_the_same_as_the_edit_is_taken(self):
        diff = PATCH + "@@ -6,3 +7,3 @@\n LINE_6 = 6\n-LINE_7 = 7\n"
        diff += "+LINE_7 = 'seven'\n LINE_8 = 8\n"
        self.write_series("core/settings.patch", HEADER + diff)
        self.assertEqual(self.build().edited, [])
        self.assertEditKept()

    def test_a_change_elsewhere_is_applied(self):
        write_files(self.root, {"django/channels/names.py": "names = []\n"})
        self.build()
        self.assertEqual(self.built("django/channels/names.py"), "names = []\n")
        self.assertEditKept()

    def test_another_upstream_does_not_replace_it(self):
        self.pin({**UPSTREAM, "django/urls.py": "paths = [2]\n"}, "1.1")
        with self.fails("django/conf/settings.py would lose", EditedError):
            self.build()
        self.assertEditKept()

    def test_another_upstream_does_not_replace_the_edit_of_an_unpatched_file(self):
        self.build(force=True)
        self.edit("tests/runtests.py", "tests", "my tests")
        self.pin(UPSTREAM | {"INSTALL": "It."}, "1.1")
        with self.fails("tests/runtests.py would lose", EditedError):
            self.build()
        self.build(force=True)
        self.assertEqual(self.built("tests/runtests.py"), "print('tests')\n")

    def test_an_editor_that_replaces_links_loses_nothing(self):
        path = self.root / "build/django/conf/routing.py"
        path.unlink()
        path.write_text("routing = ['new']\n")
        with self.fails("django/conf/routing.py would lose", EditedError):
            self.build()
        self.assertEqual(self.built("django/conf/routing.py"), "routing = ['new']\n")
        self.build(force=True)
        self.assertEqual(self.built("django/conf/routing.py"), "routing = []\n")
        self.assertTrue(path.is_symlink())

    def test_a_replaced_link_with_the_same_text_becomes_a_link_again(self):
        path = self.root / "build/django/conf/routing.py"
        path.unlink()
        path.write_text("routing = []\n")
        self.build()
        self.assertTrue(path.is_symlink())

    def test_what_replaced_the_link_of_a_deleted_file_is_left(self):
        path = self.root / "build/django/conf/routing.py"
        path.unlink()
        path.write_text("routing = ['new']\n")
        (self.root / "django/conf/routing.py").unlink()
        self.build()
        self.assertEqual(self.built("django/conf/routing.py"), "routing = ['new']\n")
