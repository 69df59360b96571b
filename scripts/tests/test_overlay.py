import os
import shutil
from pathlib import Path

from lib import overlay
from lib.errors import PatchError

from .repository import (
    HEADER,
    OURS,
    PATCH,
    PATCHED,
    SETTINGS,
    UPSTREAM,
    RepositoryTestCase,
    write_files,
)


class LayingOverTests(RepositoryTestCase):
    """lay_over() on directories, as the wheel uses it."""

    def setUp(self):
        super().setUp()
        self.pristine = self.root.parent / "pristine"
        self.target = self.root.parent / "target"
        write_files(self.pristine, UPSTREAM)

    def lay_over(self, **options):
        return overlay.lay_over(self.root, self.pristine, self.target, **options)

    def test_a_copy_has_upstream_ours_and_the_series(self):
        self.lay_over()
        expected = {**UPSTREAM, **OURS, "django/conf/settings.py": PATCHED}
        found = self.snapshot(self.target)
        self.assertEqual(set(found), set(expected))
        for path, text in expected.items():
            self.assertEqual(found[path], (None, text.encode()), path)

    def test_links_and_copies_have_the_same_contents(self):
        self.lay_over()
        copies = {path: data for path, (_, data) in self.snapshot(self.target).items()}
        shutil.rmtree(self.target)
        self.lay_over(link=True)
        links = {path: data for path, (_, data) in self.snapshot(self.target).items()}
        self.assertEqual(copies, links)

    def test_one_directory_is_laid_over_alone(self):
        docs = HEADER + (
            "--- a/docs/index.txt\n+++ b/docs/index.txt\n@@ -4,2 +4,3 @@\n * One\n"
            "+* Channels\n * Two\n"
        )
        self.write_series("core/settings.patch", HEADER + PATCH, "docs/i.patch", docs)
        shutil.rmtree(self.pristine / "docs")
        record = self.lay_over(only="django")
        self.assertEqual(list(record.patched), ["django/conf/settings.py"])
        self.assertEqual(os.listdir(self.target), ["django"])

    def test_what_interpreters_and_editors_leave_is_not_taken(self):
        junk = (
            "django/channels/__pycache__/__init__.cpython-310.pyc",
            "django/channels/__init__.py~",
            "django/channels/.names.py.swp",
            "django/channels/names.pyc",
            "django/channels/names.py.orig",
            "examples/chat/db.sqlite3",
            "docs/_build/html/index.html",
        )
        write_files(self.root, dict.fromkeys(junk, "junk"))
        pyc = "django/__pycache__/__init__.cpython-310.pyc"
        write_files(self.pristine, {pyc: "junk"})
        self.lay_over()
        self.assertEqual(set(self.snapshot(self.target)), {*UPSTREAM, *OURS})

    def test_a_file_on_a_path_of_upstreams_is_refused(self):
        write_files(self.root, {"django/urls.py": "paths = []"})
        with self.fails(
            "django/urls.py exists upstream: change it by a patch, not by a file of "
            "ours."
        ):
            self.lay_over()
        self.assertFalse(self.target.exists())

    def test_a_file_on_a_directory_of_upstreams_is_refused(self):
        write_files(self.pristine, {"django/test/client.py": ""})
        write_files(self.root, {"django/test": "no directory"})
        with self.fails("django/test exists upstream"):
            self.lay_over()

    def test_a_file_below_a_file_of_upstreams_is_refused(self):
        write_files(self.root, {"django/urls.py/more.py": ""})
        with self.fails("django/urls.py/more.py is ours, but django/urls.py is a file"):
            self.lay_over()

    def test_a_patch_that_does_not_apply_leaves_nothing(self):
        bad = HEADER + PATCH.replace("LINE_5", "LINE_6").replace("= 5", "= 6")
        self.write_series("core/settings.patch", bad)
        with self.fails(
            "patches/core/settings.patch does not apply: hunk 1 of "
            "django/conf/settings.py expects 'LINE_6 = 6\\n' in line 5, where there is "
            "'LINE_5 = 5\\n'.",
            PatchError,
        ):
            self.lay_over()
        self.assertFalse(self.target.exists())

    def test_a_patch_of_a_file_that_upstream_lacks_is_refused(self):
        bad = HEADER + PATCH.replace("settings.py", "nothing.py")
        self.write_series("core/settings.patch", bad)
        with self.fails("upstream has no text file django/conf/nothing.py."):
            self.lay_over()

    def test_a_patch_of_a_file_of_ours_is_refused(self):
        bad = HEADER + PATCH.replace("conf/settings.py", "channels/__init__.py")
        self.write_series("core/settings.patch", bad)
        with self.fails("upstream has no text file django/channels/__init__.py."):
            self.lay_over()

    def test_a_file_in_two_patches_is_refused(self):
        text = HEADER + PATCH
        self.write_series("core/one.patch", text, "core/two.patch", text)
        with self.fails(
            "django/conf/settings.py is changed by patches/core/one.patch and by "
            "patches/core/two.patch; one file belongs to one patch."
        ):
            self.lay_over()

    def test_a_patch_missing_from_the_disk_is_named(self):
        (self.root / "patches/core/settings.patch").unlink()
        with self.fails("patches/series names core/settings.patch, which cannot be"):
            self.lay_over()


class BuiltTreeTests(RepositoryTestCase):
    def test_our_files_are_relative_links(self):
        self.build()
        link = self.root / "build/django/conf/routing.py"
        self.assertEqual(os.readlink(link), "../../../django/conf/routing.py")
        self.assertFalse((self.root / "build/django/conf").is_symlink())

    def test_an_edit_of_ours_is_live(self):
        self.build()
        write_files(self.root, {"django/conf/routing.py": "routing = [1]\n"})
        self.assertEqual(self.built("django/conf/routing.py"), "routing = [1]\n")

    def test_a_second_run_changes_nothing(self):
        self.build()
        before = self.snapshot(self.root / "build")
        times = {
            path: os.lstat(self.root / "build" / path).st_mtime_ns for path in before
        }
        self.build()
        self.assertEqual(self.snapshot(self.root / "build"), before)
        for path, time in times.items():
            self.assertEqual(os.lstat(self.root / "build" / path).st_mtime_ns, time)
        self.assertEqual(self.downloads, ["Mini==1.0"])

    def test_a_moved_clone_needs_no_new_tree(self):
        self.build()
        moved = self.root.with_name("moved")
        self.root.rename(moved)
        self.root = moved
        self.assertEqual(self.built("django/conf/routing.py"), "routing = []\n")
        self.assertEqual(self.build().edited, [])
        self.assertEqual(self.downloads, ["Mini==1.0"])

    def test_new_files_appear_and_deleted_ones_vanish(self):
        self.build()
        shutil.rmtree(self.root / "tests/channels_tests")
        write_files(self.root, {"django/channels/generic/base.py": "base = 1\n"})
        write_files(
            self.root / "build", {"tests/channels_tests/__pycache__/x.pyc": "junk"}
        )
        self.build()
        self.assertEqual(self.built("django/channels/generic/base.py"), "base = 1\n")
        self.assertFalse((self.root / "build/tests/channels_tests").exists())
        self.assertTrue((self.root / "build/tests/runtests.py").exists())

    def test_a_file_can_become_a_directory_and_back(self):
        self.build()
        (self.root / "django/conf/routing.py").unlink()
        write_files(self.root, {"django/conf/routing.py/__init__.py": "deep = 1\n"})
        self.build()
        self.assertEqual(self.built("django/conf/routing.py/__init__.py"), "deep = 1\n")
        shutil.rmtree(self.root / "django/conf/routing.py")
        write_files(self.root, {"django/conf/routing.py": "flat = 1\n"})
        self.build()
        self.assertEqual(self.built("django/conf/routing.py"), "flat = 1\n")

    def test_a_changed_patch_is_applied_to_upstreams_text(self):
        self.build()
        self.write_series("core/settings.patch", HEADER + PATCH.replace("{}", "[]"))
        self.build()
        self.assertEqual(
            self.built("django/conf/settings.py"), PATCHED.replace("{}", "[]")
        )

    def test_a_dropped_patch_leaves_upstreams_text(self):
        self.build()
        self.write_series()
        self.build()
        self.assertEqual(self.built("django/conf/settings.py"), SETTINGS)

    def test_a_tree_whose_building_was_interrupted_is_completed(self):
        self.build()
        (self.root / "build/.tree.json").unlink()
        (self.root / "build/django/urls.py").unlink()
        self.build()
        self.assertEqual(self.built("django/urls.py"), UPSTREAM["django/urls.py"])
        self.assertEqual(self.built("django/conf/settings.py"), PATCHED)

    def test_force_restores_every_file_of_upstreams(self):
        self.build()
        self.edit("django/urls.py", "paths", "ways")
        (self.root / "build/docs/index.txt").unlink()
        self.build(force=True)
        for path in ("django/urls.py", "docs/index.txt"):
            self.assertEqual(self.built(path), UPSTREAM[path])
        self.assertEqual(self.built("django/conf/settings.py"), PATCHED)

    def test_a_forgotten_link_is_not_followed(self):
        self.build()
        (self.root / "build/.tree.json").unlink()
        (self.root / "django/conf/routing.py").unlink()
        self.pin({**UPSTREAM, "django/conf/routing.py": "theirs\n"}, "1.1")
        self.build()
        self.assertEqual(self.built("django/conf/routing.py"), "theirs\n")
        self.assertFalse((self.root / "django/conf/routing.py").exists())

    def test_files_of_nobody_are_left_alone(self):
        self.build()
        write_files(self.root / "build", {"tests/scratch.py": "mine\n"})
        self.build(force=True)
        self.assertEqual(self.built("tests/scratch.py"), "mine\n")


class NewUpstreamTests(RepositoryTestCase):
    def test_the_tree_follows_the_pin(self):
        self.build()
        write_files(self.root / "build", {"django/__pycache__/urls.pyc": "junk"})
        newer = {**UPSTREAM, "django/tasks.py": "tasks = 1\n"}
        newer["django/__init__.py"] = "VERSION = (1, 1)\n"
        del newer["django/urls.py"], newer["tests/runtests.py"]
        self.pin(newer, "1.1")
        self.build()
        expected = {**newer, **OURS, "django/conf/settings.py": PATCHED}
        found = self.snapshot(self.root / "build")
        del found[".tree.json"]
        found.pop("django/__pycache__/urls.pyc", None)
        self.assertEqual(set(found), set(expected))
        for path, text in expected.items():
            self.assertEqual(found[path][1], text.encode(), path)

    def test_a_file_of_ours_that_upstream_takes_over_is_not_overwritten(self):
        self.build()
        self.pin({**UPSTREAM, "django/conf/routing.py": "theirs\n"}, "1.1")
        with self.fails("django/conf/routing.py exists upstream"):
            self.build()
        (self.root / "django/conf/routing.py").unlink()
        self.build()
        self.assertEqual(self.built("django/conf/routing.py"), "theirs\n")
        self.assertFalse((self.root / "django/conf/routing.py").exists())

    def test_a_tree_of_another_upstream_that_is_gone_is_not_guessed_at(self):
        self.build()
        shutil.rmtree(self.root / ".cache")
        self.pin({**UPSTREAM, "INSTALL": "It.\n"}, "1.1")
        with self.fails("The tree was made of another upstream, and "):
            self.build()
        self.assertEqual(self.built("django/conf/settings.py"), PATCHED)

    def test_a_deleted_cache_is_fetched_again(self):
        self.build()
        shutil.rmtree(self.root / ".cache")
        self.assertEqual(self.build().edited, [])
        self.assertEqual(self.downloads, ["Mini==1.0"] * 2)


class RecordTests(RepositoryTestCase):
    def test_an_unreadable_record_is_none(self):
        self.build()
        for text in ("", "{", "[]", '{"unknown": 1}'):
            Path(self.root, "build/.tree.json").write_text(text)
            with self.subTest(text=text):
                self.assertIsNone(self.tree().read_record())
