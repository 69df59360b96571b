"""Delayed messages: their form on the channel and in the table, and claiming."""

import math
import threading
import uuid
from datetime import timedelta
from importlib.util import find_spec
from unittest import skipUnless

from django.channels.delay import protocol
from django.db import connections
from django.test import SimpleTestCase, tag
from django.test.channel_layers import cites
from django.utils import timezone

from .databases import MariaDBTestCase, PostgreSQLTestCase, SQLiteTestCase
from .delays import DelayTests
from .utils import TIMEOUT

GOOD = {"channel": "target", "delay": 1, "content": {}}

# Contents, and how they stand in the table.
TEXTS = [
    ({}, "{}"),
    ({"a": b"\x00\xff"}, '{"a":{"$bytes":"AP8="}}'),
    ({"$bytes": "AP8="}, '{"$$bytes":"AP8="}'),
    ({"$$": {"$": [b"", {"$bytes": b"x"}]}}, None),
    ({"text": "\x00\u20ac\U0001f600"}, '{"text":"\\u0000\\u20ac\\ud83d\\ude00"}'),
    ({"n": [-(2**63), 2**63 - 1, True, None, 1.0, -0.0, 5e-324, math.inf]}, None),
]


class ProtocolTests(SimpleTestCase):
    @cites("DL-5", "with its values and their types")
    def test_content_is_kept_as_it_was(self):
        for content, text in TEXTS:
            with self.subTest(content=content):
                encoded = protocol.encode(content)
                if text is not None:
                    self.assertEqual(encoded, text)
                self.assertTrue(encoded.isascii())
                self.assertEqual(repr(protocol.decode(encoded)), repr(content))

    @skipUnless(find_spec("hypothesis"), "hypothesis is not installed.")
    def test_any_content_is_kept_as_it_was(self):
        from hypothesis import HealthCheck, given, settings
        from hypothesis import strategies as st

        keys = st.text(st.sampled_from("$abytes\x00\u20ac")) | st.text()
        simple = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1)
        simple |= st.floats(allow_nan=False) | st.text() | st.binary()
        values = st.recursive(
            simple, lambda v: st.lists(v) | st.dictionaries(keys, v), max_leaves=20
        )

        @settings(
            max_examples=200,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],  # A busy machine is.
        )
        @given(st.dictionaries(keys, values))
        def check(content):
            self.assertEqual(
                repr(protocol.decode(protocol.encode(content))), repr(content)
            )

        check()

    def test_a_text_that_encode_does_not_make_is_refused(self):
        for text in (
            "",
            "no JSON",
            "[]",
            '{"$a": 1}',
            '{"a": {"$bytes": 1}}',
            '{"a": {"$bytes": "%%%%"}}',
            '{"a": {"$bytes": "AP8=", "b": 1}}',
            '{"a":' * 100_000,
        ):
            with self.subTest(text=text[:30]):
                with self.assertRaises(ValueError):
                    protocol.decode(text)

    @cites("DL-1", "with a value of another type or range")
    def test_a_malformed_message_is_refused_with_the_reason(self):
        for change, reason in (
            ({"delay": 0}, "its delay is 0; it must be an int of 1 to"),
            ({"delay": -1}, "its delay is -1"),
            ({"delay": True}, "its delay is True"),
            ({"delay": 1.5}, "its delay is 1.5"),
            ({"delay": "1"}, "its delay is '1'"),
            ({"delay": None}, "its delay is None"),
            ({"delay": 10**15}, "its delay is 1000000000000000"),
            ({"channel": "no name"}, "'no name' is not a valid channel name"),
            ({"channel": b"target"}, "must be a str"),
            ({"channel": ["target"]}, "must be a str"),
            ({"content": "text"}, "its content is of type str; it must be a dict"),
            ({"type": "other"}, "its type is 'other'"),
            ({"dealy": 1}, "it has unknown keys: dealy"),
        ):
            with self.subTest(change=change):
                with self.assertRaisesMessage(ValueError, reason):
                    protocol.parse({**GOOD, **change})
        for key in GOOD:
            with self.assertRaisesMessage(ValueError, f"it lacks {key}"):
                protocol.parse({k: v for k, v in GOOD.items() if k != key})

    def test_the_type_may_be_given(self):
        expected = ("target", 1, {})
        self.assertEqual(protocol.parse(GOOD), expected)
        self.assertEqual(protocol.parse({**GOOD, "type": "asgi.delay"}), expected)


class MessageTests(DelayTests):
    def test_delay_is_the_time_until_it_is_due(self):
        before = timezone.now()
        message = self.keep(delay=90_000)
        after = timezone.now()
        due = message.due_date - timedelta(milliseconds=90_000)
        self.assertTrue(before <= due <= after)
        self.assertTrue(0 < message.delay <= 90_000)
        message.delay = -1
        self.assertEqual(message.delay, 0)

    def test_those_that_are_due_are_found(self):
        due = self.keep(delay=0)
        self.keep(delay=90_000)
        self.assertEqual(list(self.objects.is_due()), [due])

    @cites("DL-6", "in the order of their due dates")
    def test_the_oldest_are_claimed_first(self):
        for n, delay in enumerate((-60_000, -90_000, -75_000, 90_000)):
            self.keep(delay=delay, content={"n": n})
        claimed = self.objects.is_due().claim(2)
        contents = [protocol.decode(message.content) for message in claimed]
        self.assertEqual(contents, [{"n": 1}, {"n": 2}])
        self.assertEqual(self.objects.count(), 2)
        self.assertEqual(len(self.objects.is_due().claim(2)), 1)
        self.assertEqual(self.objects.is_due().claim(2), [])

    def test_messages_of_one_date_are_claimed_as_they_were_made(self):
        date = timezone.now()
        made = [self.keep().pk for _ in range(20)]
        self.objects.update(due_date=date)
        claimed = self.objects.claim(20)
        self.assertEqual([message.pk for message in claimed], made)

    @cites("DL-4", "sent once at the most")
    def test_nobody_claims_what_others_claim(self):
        messages = self.objects.bulk_create(self.make() for _ in range(120))
        made = {message.pk for message in messages}
        claimed, errors = [], []
        together = threading.Barrier(4)

        def claim():
            try:
                together.wait(TIMEOUT)
                while messages := self.objects.all().claim(7):
                    claimed.extend(message.pk for message in messages)
            except Exception as error:
                errors.append(error)
            finally:
                connections[self.using].close()

        threads = [threading.Thread(target=claim) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # On one that locks, somebody may have found only what others had locked.
        claimed += [message.pk for message in self.objects.all().claim(200)]
        self.assertEqual(errors, [])
        self.assertEqual(len(claimed), len(made))
        self.assertEqual(set(claimed), made)

    def test_send_sends_once(self):
        message = self.keep(content={"n": 1})
        same = self.objects.get()
        self.assertIs(message.send(self.layer), True)
        self.assertIs(same.send(self.layer), False)
        self.assertEqual(self.receive(), {"n": 1})
        self.assertEqual(self.layer.receive(["target"]), (None, None))

    def test_a_message_that_was_never_stored_is_sent(self):
        message = self.objects.model(channel_name="target", content='{"n":1}')
        self.assertIs(message.send(self.layer), True)
        self.assertEqual(self.receive(), {"n": 1})

    @cites("DL-7", "be kept and tried again later")
    def test_a_message_for_a_full_channel_is_kept(self):
        for n in range(self.layer.capacity):
            self.layer.send("target", {"n": n})
        message = self.keep(delay=0)
        found = self.objects.get()
        self.assertIs(message.send(self.layer, requeue_delay=50_000), False)
        later = self.objects.get()
        self.assertTrue(40_000 < later.delay <= 50_000)
        self.assertEqual(later.tries, 1)
        # Who found it before does not get it now.
        self.assertIs(found.send(self.layer), False)
        self.assertEqual(self.objects.count(), 1)

    def test_a_content_that_cannot_be_read_is_not_claimed(self):
        message = self.keep()
        message.content = "no JSON"
        with self.assertRaises(ValueError):
            message.send(self.layer)
        self.assertEqual(self.objects.count(), 1)

    def test_an_id_is_one_of_time(self):
        ids = [self.keep().pk for _ in range(3)]
        self.assertEqual(ids, sorted(ids))
        self.assertEqual({(id.version, id.variant) for id in ids}, {(7, uuid.RFC_4122)})


class SQLiteMessageTests(MessageTests, SQLiteTestCase, SimpleTestCase):
    pass


class PostgreSQLMessageTests(MessageTests, PostgreSQLTestCase, SimpleTestCase):
    pass


@tag("full")
class MariaDBMessageTests(MessageTests, MariaDBTestCase, SimpleTestCase):
    pass
