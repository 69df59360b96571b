import contextlib
import io
from pathlib import Path
from unittest import mock

from lib import canary, upstream

from .repository import SETTINGS, UPSTREAM, RepositoryTestCase, make_archive


class CanaryTests(RepositoryTestCase):
    def run_on(self, files):
        """Return the verdict on a newest release of these files, and the report."""

        def download(requirement, directory, extra):
            self.assertEqual(requirement, "Mini")
            archive = Path(directory, "mini-2.0.tar.gz")
            make_archive(archive, {**UPSTREAM, **files}, "mini-2.0")
            return archive

        with mock.patch.object(upstream, "download", download):
            with contextlib.redirect_stdout(io.StringIO()) as report:
                verdict = canary.run(self.root)
        return verdict, report.getvalue()

    def test_an_unchanged_place_is_good(self):
        self.assertEqual(
            self.run_on({}),
            (
                True,
                "ok   core/settings.patch: applies as is\n"
                "mini-2.0: the series applies.\n",
            ),
        )

    def test_a_moved_place_is_good_and_told(self):
        text = "MORE = 1\nAND_MORE = 2\n" + SETTINGS
        verdict, report = self.run_on({"django/conf/settings.py": text})
        self.assertTrue(verdict)
        self.assertIn("core/settings.patch: applies, moved by up to 2 lines", report)

    def test_a_lost_place_is_bad(self):
        text = SETTINGS.replace("LINE_5 = 5\n", "LINE_5 = []\n")
        self.assertEqual(
            self.run_on({"django/conf/settings.py": text}),
            (
                False,
                "FAIL core/settings.patch: hunk 1 of django/conf/settings.py has no "
                "places to go to\nmini-2.0: 1 problems.\n",
            ),
        )

    def test_a_path_that_upstream_took_is_bad(self):
        verdict, report = self.run_on({"django/channels/__init__.py": ""})
        self.assertFalse(verdict)
        self.assertIn("FAIL django/channels/__init__.py exists upstream", report)
