import unittest
from pathlib import Path

from lib.documentation import find_warnings


class WarningsTests(unittest.TestCase):
    def find(self, text):
        pages = ["ref/channels/index.txt", "index.txt"]
        return find_warnings(text, Path("/clone/build/docs"), pages)

    def test_warnings_about_our_pages_are_found(self):
        for line in (
            "/clone/build/docs/index.txt:7: WARNING: unknown document: 'x' [ref.doc]",
            "/clone/build/docs/ref/channels/index.txt:1: ERROR: Malformed table.",
            "/clone/build/docs/index.txt: WARNING: document isn't included",
        ):
            with self.subTest(line=line):
                self.assertEqual(self.find(f"{line}\nmore of it\n"), [line])

    def test_warnings_about_other_pages_are_not(self):
        text = (
            "WARNING: failed to reach any of the inventories\n"
            "/clone/build/docs/ref/index.txt:3: WARNING: term not in glossary\n"
            "/clone/django/x.py:docstring of x:1: WARNING: bad\n"
        )
        self.assertEqual(self.find(text), [])
