"""The reader and checker of specifications, on good and bad fixtures."""

import tempfile
from pathlib import Path
from textwrap import dedent
from unittest import skipUnless

from django.test import SimpleTestCase
from django.test.channel_layers import cites

try:
    from . import specs
except ImportError as error:
    if error.name != "docutils":
        raise
    specs = None

GOOD = """
=======
A title
=======

Some words.

.. _ab-1:

**AB-1** A layer **must** be good,
and ``kind``.

.. _ab-2:

**AB-2** It **must not** be bad. Words without a number may say ``must``.

thing.happens
-------------

* ``type`` (*str*) -- the name. Optional; default ``thing.happens``.
* ``n`` (*int or None*) -- how many, at least ``0``.
* ``data`` (*bytes*) -- what, as
  it came. Optional; default ``b""``.
* ``list`` (*list*) -- pairs. Optional; default ``[]``.
* ``version`` (*str*) -- of it. Optional; default ``1.1``.
* ``flag`` (*bool or int*) -- whether. Optional; default ``False``.
* ``none`` (*str*) -- maybe. Optional; default ``None``.

Other bullets:

* are *free*, and may have ``literals``.
"""

CITING = """
from django.test.channel_layers import cites

class Tests:
    @cites("AB-1", "A layer must be good, and kind")
    def test_one(self):
        pass

    @conformance.cites("AB-2", "must not be bad")
    @other("AB-9", "words")
    async def test_two(self):
        pass
"""


@skipUnless(specs, "The specifications are read with docutils.")
class SpecTestCase(SimpleTestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text))
        return path

    def find(self, spec=GOOD, tests=CITING, **others):
        self.write("specs/one.rst", spec)
        for name, text in others.items():
            self.write(f"specs/{name}.rst", text)
        path = self.write("test_one.py", tests)
        problems = specs.find_problems(specs.read_specs(self.folder / "specs"), [path])
        return [problem.replace(f"{self.folder}/", "") for problem in problems]


class CheckTests(SpecTestCase):
    def assertFinds(self, *expected, **files):
        self.assertEqual(self.find(**files), list(expected))

    def test_good_ones_have_no_problem(self):
        self.assertFinds()

    def test_a_must_without_an_id_is_found(self):
        self.assertFinds(
            'specs/one.rst:34: A text says "must" and has no id.',
            spec=GOOD + "\n\nThis **must** not be.\n",
        )

    def test_a_must_in_a_second_paragraph_a_title_or_a_bullet_is_found(self):
        text = 'A text says "must" and has no id.'
        spec = GOOD.replace(
            "Some words.", "You must.\n\n- You Must,\n\nMust it?\n--------"
        )
        problems = self.find(spec=spec)
        self.assertEqual([p.partition(": ")[2] for p in problems], [text] * 3)

    def test_an_id_that_no_test_cites_is_found(self):
        self.assertFinds(
            "specs/one.rst:15: No test cites AB-2.",
            tests=CITING.replace('cites("AB-2"', 'tells("AB-2"'),
        )

    def test_a_citation_of_an_unknown_id_is_found(self):
        self.assertFinds(
            "test_one.py:9: A test cites AB-3, which is in no specification.",
            "specs/one.rst:15: No test cites AB-2.",
            tests=CITING.replace("AB-2", "AB-3"),
        )

    def test_words_that_the_text_has_not_are_found(self):
        self.assertFinds(
            "test_one.py:9: The text of AB-2 has no 'must not be worse'.",
            tests=CITING.replace("be bad", "be worse"),
        )

    def test_words_are_compared_without_markup_and_line_breaks(self):
        self.assertFinds(tests=CITING.replace("good, and", "good,   and"))

    def test_a_citation_that_is_no_pair_of_texts_is_found(self):
        for arguments in ('"AB-2"', '"AB-2", words', '"AB-2", ""', '"AB-2", "a", "b"'):
            with self.subTest(arguments=arguments):
                self.assertFinds(
                    "test_one.py:9: cites() takes two str, the id and some words of "
                    "the text.",
                    "specs/one.rst:15: No test cites AB-2.",
                    tests=CITING.replace('"AB-2", "must not be bad"', arguments),
                )

    def test_a_citation_of_what_is_no_test_is_found(self):
        self.assertFinds(
            "test_one.py:9: check_two cites AB-2 and is no test.",
            tests=CITING.replace("test_two", "check_two"),
        )

    def test_a_test_file_that_cannot_be_parsed_is_found(self):
        problems = self.find(tests="def test(:")
        self.assertRegex(problems[0], r"\Atest_one\.py: invalid syntax")

    def test_an_id_that_is_given_twice_is_found(self):
        other = "Other\n=====\n\n.. _ab-1:\n\n**AB-1** It **must** be.\n"
        self.assertFinds(
            "specs/two.rst:6: AB-1 is given already at specs/one.rst:10.",
            two=other,
        )

    def test_an_id_without_its_target_is_found(self):
        for target in ("", ".. _ab-3:"):
            with self.subTest(target=target):
                self.assertFinds(
                    "specs/one.rst:15: AB-2 does not stand below a target of that "
                    "name.",
                    spec=GOOD.replace(".. _ab-2:", target),
                )

    def test_a_target_without_its_id_is_found(self):
        problems = self.find(spec=GOOD.replace("**AB-2** It **must not**", "It may"))
        self.assertEqual(
            problems[0],
            "specs/one.rst:15: The text below the target AB-2 has no id.",
        )

    def test_a_requirement_without_must_is_found(self):
        self.assertFinds(
            'specs/one.rst:15: AB-2 has no "must" in bold.',
            spec=GOOD.replace("**must not**", "must not"),
        )

    def test_an_error_of_the_markup_is_found(self):
        for text, message in (
            ("A `broken", "Inline interpreted text"),
            ("A `link`_.", 'Unknown target name: "link"'),
            ("Long title\n=====", "Title underline too short."),
            (":nothing:`here`", "Unknown interpreted text role"),
            (".. nothing:: here", 'Unknown directive type "nothing"'),
        ):
            with self.subTest(text=text):
                problems = self.find(spec=f"{GOOD}\n\n{text}\n")
                self.assertTrue(any(message in problem for problem in problems))
                self.assertTrue(problems[0].startswith("specs/one.rst:"))

    def test_a_message_table_in_two_files_is_found(self):
        other = "thing.happens\n=============\n\n* ``a`` (*str*) -- it.\n"
        self.assertFinds(
            "specs/two.rst: thing.happens has a message table already in "
            "specs/one.rst.",
            two=other,
        )


class TableTests(SpecTestCase):
    def assertFinds(self, item, expected):
        problems = self.find(spec=GOOD.replace("* ``n`` (", f"{item}\n* ``n`` ("))
        self.assertEqual(len(problems), 1)
        self.assertIn(expected, problems[0])
        self.assertTrue(problems[0].startswith("specs/one.rst:2"))

    def test_a_table_tells_types_and_defaults(self):
        path = self.write("one.rst", GOOD)
        table = specs.message_tables(path)["thing.happens"]
        none = type(None)
        self.assertEqual(
            table,
            {
                "type": ((str,), True, "thing.happens"),
                "n": ((int, none), False, None),
                "data": ((bytes,), True, b""),
                "list": ((list,), True, []),
                "version": ((str,), True, "1.1"),
                "flag": ((bool, int), True, False),
                "none": ((str,), True, None),
            },
        )
        self.assertEqual(table["data"].default, b"")
        self.assertFalse(table["n"].optional)

    def test_the_tables_of_a_folder_are_taken_together(self):
        self.write("specs/one.rst", GOOD)
        self.write("specs/two.rst", "other\n=====\n\n* ``a`` (*str*) -- it.\n")
        tables = specs.message_tables(self.folder / "specs")
        self.assertEqual(set(tables), {"thing.happens", "other"})

    def test_a_file_with_a_problem_has_no_tables(self):
        path = self.write("one.rst", GOOD.replace("(*bytes*)", "(bytes)"))
        with self.assertRaisesMessage(ValueError, "must have the form"):
            specs.message_tables(path)

    def test_a_bullet_of_another_form_is_found(self):
        for item in (
            "* ``a`` -- no type.",
            "* ``a`` (str) -- its type is not marked.",
            "* ``a`` (*str*) - one dash.",
            "* ``a`` (*str*) -- no full stop",
            "* ``a`` (*str*) -- it. Default ``b``.",
            "* ``a`` (*str*) -- it. Optional; default b.",
            "* a (*str*) -- the key is not marked.",
        ):
            with self.subTest(item=item):
                self.assertFinds(item, "A key of a message must have the form")

    def test_an_unknown_type_is_found(self):
        self.assertFinds("* ``a`` (*text*) -- it.", "has the type 'text'")

    def test_a_default_of_another_type_is_found(self):
        self.assertFinds(
            "* ``a`` (*int*) -- it. Optional; default ``b``.",
            "has the default 'b', and is int",
        )

    def test_a_key_that_stands_there_twice_is_found(self):
        self.assertFinds("* ``n`` (*int*) -- it.", "has the key 'n' twice")


@skipUnless(specs, "The specifications are read with docutils.")
class RealSpecTests(SimpleTestCase):
    def test_the_specifications_and_their_citations_have_no_problem(self):
        specifications = specs.read_specs(specs.ROOT / "specs")
        self.assertGreater(len(specifications), 1)
        problems = specs.find_problems(specifications, specs.find_test_files())
        self.assertEqual(problems, [])

    def test_citations_are_kept_on_the_test(self):
        def test():
            pass

        for citation in (("AB-1", "some"), ("AB-2", "words")):
            self.assertIs(cites(*citation)(test), test)
        self.assertEqual(test.cites, (("AB-1", "some"), ("AB-2", "words")))
