import io
import subprocess
import tarfile
import unittest
from pathlib import Path
from unittest import mock

from lib import upstream

from .repository import UPSTREAM, RepositoryTestCase, make_archive


class PinTests(RepositoryTestCase):
    def test_the_branch_has_a_local_version(self):
        pin = upstream.read_pin(self.root)
        self.assertEqual(pin.branch_version, "1.0+channels.1")
        self.assertEqual(pin.directory, "mini-1.0")

    def test_an_unreadable_pin_is_named(self):
        path = self.root / "patches/upstream.ini"
        for text in ("", "nothing", "[upstream]\nname = Mini\n[branch]\n"):
            path.write_text(text)
            with self.subTest(text=text), self.fails("upstream.ini cannot be read as"):
                upstream.read_pin(self.root)


class FetchTests(RepositoryTestCase):
    def fetch(self, download=None):
        self.root.joinpath(".cache").mkdir(exist_ok=True)
        pin = upstream.read_pin(self.root)
        return upstream.fetch(pin, self.root / ".cache", download or self.download)

    def test_a_verified_archive_is_kept(self):
        self.assertEqual(self.fetch(), self.fetch())
        self.assertEqual(self.downloads, ["Mini==1.0"])

    def test_an_archive_with_another_hash_is_refused(self):
        expected = upstream.read_pin(self.root).sha256
        found = make_archive(self.index / "mini-1.0.tar.gz", {"README": "Bad."})
        with self.fails(
            f"mini-1.0.tar.gz has the sha256 {found}, but patches/upstream.ini pins "
            f"{expected}."
        ):
            self.fetch()
        self.assertEqual(list(self.root.joinpath(".cache").iterdir()), [])

    def test_a_damaged_archive_is_fetched_again(self):
        archive = self.fetch()
        archive.write_bytes(archive.read_bytes()[:-9])
        self.fetch()
        self.assertEqual(len(self.downloads), 2)
        self.assertEqual(upstream.digest(archive), upstream.read_pin(self.root).sha256)

    def test_an_archive_with_another_name_is_refused(self):
        def download(requirement, directory):
            return self.download(requirement, directory).rename(
                Path(directory, "Mini-1.0.tar.gz")
            )

        with self.fails("has Mini-1.0.tar.gz where patches/upstream.ini pins mini-1.0"):
            self.fetch(download)


class DownloadTests(RepositoryTestCase):
    def download_with(self, code, stderr, files=()):
        def run(command, **options):
            for name in files:
                Path(command[command.index("--dest") + 1], name).touch()
            return subprocess.CompletedProcess(command, code, "", stderr)

        with mock.patch.object(subprocess, "run", run):
            return upstream.download("Mini==1.0", self.index)

    def setUp(self):
        super().setUp()
        (self.index / "mini-1.0.tar.gz").unlink()

    def test_the_one_archive_is_returned(self):
        path = self.download_with(0, "", ["mini-1.0.tar.gz"])
        self.assertEqual(path, self.index / "mini-1.0.tar.gz")

    def test_the_error_of_pip_is_told(self):
        stderr = "WARNING: slow\nERROR: No matching distribution\nhint: think\n"
        with self.fails(
            "pip could not download Mini==1.0: ERROR: No matching distribution"
        ):
            self.download_with(1, stderr)

    def test_a_python_without_pip_is_told(self):
        with self.fails(
            "pip could not download Mini==1.0: python: No module named pip"
        ):
            self.download_with(1, "python: No module named pip\n")

    def test_a_missing_archive_is_told(self):
        with self.fails("pip could not download Mini==1.0: no archive arrived"):
            self.download_with(0, "")

    def test_a_download_that_hangs_has_an_end(self):
        error = subprocess.TimeoutExpired("pip", 600)
        with mock.patch.object(subprocess, "run", side_effect=error):
            with self.fails(
                "pip could not download Mini==1.0: Command 'pip' timed out"
            ):
                upstream.download("Mini==1.0", self.index)


class UnpackTests(RepositoryTestCase):
    def unpack(self, files, top="mini-1.0"):
        make_archive(self.index / "x.tar.gz", files, top)
        return upstream.unpack(self.index / "x.tar.gz", self.index / "target")

    def test_the_top_directory_becomes_the_target(self):
        target = self.unpack(UPSTREAM)
        self.assertEqual(set(self.snapshot(target)), set(UPSTREAM))

    def test_what_stood_there_is_replaced(self):
        self.unpack(UPSTREAM)
        self.assertEqual(set(self.snapshot(self.unpack({"A": ""}))), {"A"})

    def test_no_archive_is_told(self):
        (self.index / "x.tar.gz").write_text("no archive")
        with self.fails("x.tar.gz cannot be unpacked: "):
            upstream.unpack(self.index / "x.tar.gz", self.index / "target")

    def test_two_top_directories_are_refused(self):
        with self.fails("does not have exactly one top directory."):
            self.unpack({"a/x": "", "b/x": ""}, top=".")

    @unittest.skipUnless(hasattr(tarfile, "data_filter"), "this Python has no filters")
    def test_a_path_out_of_the_target_is_refused(self):
        path = self.index / "x.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.addfile(tarfile.TarInfo("../escaped"), io.BytesIO())
        with self.fails("x.tar.gz cannot be unpacked: "):
            upstream.unpack(path, self.index / "target")
        self.assertFalse((self.index / "escaped").exists())
