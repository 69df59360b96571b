from django.channels import names
from django.test import SimpleTestCase

LONGEST = "n" * (names.MAX_NAME_LENGTH - 1)


class ChannelNameTests(SimpleTestCase):
    def test_legal_names_are_returned(self):
        for name in ("a", "thumbnails", "A-b_c.9", "body?Xyz", "in.box!local", LONGEST):
            with self.subTest(name=name):
                self.assertEqual(names.validate_channel(name), name)

    def test_names_that_cannot_be_sent_to_are_refused(self):
        illegal = (
            "", "?", "!", "in.box!", "body?", "!local", "?x", "a!b!c", "a?b?c", "a?b!c",
            "a b", "a\n", "a!b\n", "ä", "١", "a/b", "a:b", "a*", LONGEST + "n",
        )  # fmt: skip
        for name in illegal:
            with self.subTest(name=name):
                with self.assertRaisesMessage(TypeError, repr(name)):
                    names.validate_channel(name)

    def test_the_error_tells_what_is_allowed(self):
        msg = (
            "'a b' is not a valid channel name: it must consist of ASCII letters, "
            "digits, hyphens, underscores and periods, with at most one ? or ! between "
            "two parts."
        )
        with self.assertRaisesMessage(TypeError, msg):
            names.validate_channel("a b")
        msg = "it has 100 characters, and must have fewer than 100."
        with self.assertRaisesMessage(TypeError, msg):
            names.validate_channel("n" * 100)

    def test_a_name_is_a_str(self):
        for name in (b"a", None, 1, ["a"], {"a": 1}):
            with self.subTest(name=name):
                msg = f"not {name!r} of type {type(name).__name__}."
                with self.assertRaisesMessage(TypeError, msg):
                    names.validate_channel(name)

    def test_receivable_names_are_inboxes_not_their_parts(self):
        for name in ("a", "body?Xyz", "in.box!"):
            with self.subTest(name=name):
                self.assertEqual(names.validate_receivable(name), name)
        for name in ("in.box!local", "body?", "a\n", "in.box!\n"):
            with self.subTest(name=name):
                with self.assertRaisesMessage(TypeError, repr(name)):
                    names.validate_receivable(name)

    def test_group_names_have_no_marks(self):
        self.assertEqual(names.validate_group("chat-1"), "chat-1")
        for name in ("a?b", "a!b", "a\n", "", "chat room"):
            with self.subTest(name=name):
                with self.assertRaisesMessage(TypeError, f"{name!r} is not a valid g"):
                    names.validate_group(name)


class NewNameTests(SimpleTestCase):
    def test_a_new_name_begins_with_its_pattern_and_can_be_sent_to(self):
        for pattern in ("body?", "in.box!"):
            with self.subTest(pattern=pattern):
                name = names.new_name(pattern)
                self.assertTrue(name.startswith(pattern))
                self.assertEqual(names.validate_channel(name), name)

    def test_new_names_differ(self):
        self.assertEqual(len({names.new_name("body?") for _ in range(1000)}), 1000)

    def test_a_pattern_ends_in_a_mark(self):
        for pattern in ("body", "body?x", "?", "a!b?", "body?\n"):
            with self.subTest(pattern=pattern):
                msg = f"{pattern!r} is not a valid channel pattern"
                with self.assertRaisesMessage(TypeError, msg):
                    names.new_name(pattern)


class QueueTests(SimpleTestCase):
    def test_a_process_specific_name_belongs_to_its_inbox(self):
        self.assertEqual(names.inbox_of("in.box!local"), "in.box!")
        self.assertEqual(names.queue_of("in.box!local"), "in.box!")

    def test_other_names_are_queues_of_their_own(self):
        for name in ("a", "body?x"):
            self.assertIsNone(names.inbox_of(name))
            self.assertEqual(names.queue_of(name), name)
