"""Envelopes: the examples of the specification, and what is none."""

import pickle
import random
import tracemalloc
from importlib.util import find_spec
from unittest import mock, skipUnless

from django.channels.backends.shared import envelopes
from django.channels.backends.shared.envelopes import (
    ADD,
    DISCARD,
    FLUSH,
    GROUP,
    MESSAGE,
    Codec,
    EnvelopeError,
)
from django.channels.backends.values import MAX_DEPTH, copy_message
from django.channels.exceptions import MessageTooLarge
from django.test import SimpleTestCase
from django.test.channel_layers import cites

from .dict_store import DictChannelLayer
from .envelopes import read_examples
from .utils import patch_for


def nest(depth):
    """Return a message with dicts and lists that lie that deep, and its bytes."""
    message, body = {}, b"\x80"
    for n in range(depth - 1):
        # Lists and dicts by turns; the outermost is a dict.
        if (depth - n) % 2:
            message, body = [message], b"\x91" + body
        else:
            message, body = {"a": message}, b"\x81\xa1a" + body
    if type(message) is list:
        message, body = {"a": message[0]}, b"\x81\xa1a" + body[1:]
    return message, b"\x01\x93\x00\xa0" + body


class CodecTests(SimpleTestCase):
    """The one in use, and then, in a subclass, the one in plain Python."""

    pure = False

    def setUp(self):
        self.codec = Codec(pure=self.pure)

    def assertRefused(self, payload, text="The envelope "):
        with self.assertRaisesMessage(EnvelopeError, text):
            self.codec.decode(payload)

    @cites("EN-1", "The first byte of an envelope must be its version")
    @cites("EN-2", "must be one MessagePack array of three")
    @cites("EN-3", "The kind must be one of these")
    @cites("EN-5", "must have these types of MessagePack")
    @cites("EN-6", "must choose the shortest form")
    def test_the_examples_are_written_and_read(self):
        examples = read_examples()["plain"]
        self.assertEqual({example.content[0] for example in examples}, set(range(5)))
        for title, content, envelope in examples:
            with self.subTest(title):
                self.assertEqual(self.codec.encode(*content), envelope)
                kind, target, message = self.codec.decode(envelope)
                self.assertEqual(repr((kind, target, message)), repr(content))

    @cites("EN-7", "must accept the other forms, too")
    def test_other_forms_are_read(self):
        for title, content, envelope in read_examples()["accepted"]:
            with self.subTest(title):
                self.assertEqual(self.codec.decode(envelope), content)
                self.assertNotEqual(self.codec.encode(*content), envelope)

    @cites("EN-8", "An envelope must be refused if its body is incomplete")
    def test_what_is_no_envelope_is_refused(self):
        examples = read_examples()["refused"]
        self.assertGreater(len(examples), 20)
        for title, _, envelope in examples:
            with self.subTest(title):
                self.assertRefused(envelope)

    def test_every_part_of_an_envelope_is_refused(self):
        message = {"a": [1, "b", b"c", 2.5, {"d": None}], "e": 2**40}
        payload = self.codec.encode(MESSAGE, "in!x", message)
        for end in range(len(payload)):
            with self.subTest(end=end):
                self.assertRefused(payload[:end])
        self.assertRefused(payload + b"\x00")

    @cites("EN-8", "dicts and lists more than 32 levels deep")
    def test_a_message_has_at_most_32_levels(self):
        message, envelope = nest(MAX_DEPTH)
        self.assertEqual(copy_message(message, 1000), message)
        self.assertEqual(self.codec.decode(envelope), (MESSAGE, "", message))
        self.assertEqual(self.codec.encode(MESSAGE, "", message), envelope)
        self.assertRefused(nest(MAX_DEPTH + 1)[1])
        self.assertRefused(b"\x01\x93\x00\xa0\x81\xa1a" + b"\x91" * 10**5)

    def test_names_are_checked(self):
        for kind, message in (
            (MESSAGE, {}),
            (GROUP, {}),
            (ADD, {"channel": "in!x"}),
            (DISCARD, {"channel": "in!x"}),
        ):
            for target in ("a b", "a\n", "a!", "!a", "a!b!c", "a" * 100, "\u0661"):
                with self.subTest(kind=kind, target=target):
                    payload = self.codec.encode(kind, target, message)
                    self.assertRefused(payload, "with an invalid name")
        for channel in ("in!", "in!x\n", "!x", "in!" + "x" * 97):
            with self.subTest(channel=channel):
                payload = self.codec.encode(ADD, "group", {"channel": channel})
                self.assertRefused(payload, "with an invalid name")

    def test_what_changes_memberships_says_nothing_else(self):
        for content in (
            (ADD, "group", {}),
            (ADD, "group", {"channel": "plain"}),
            (DISCARD, "group", {"channel": 1}),
            (DISCARD, "group", {"channel": "in!x", "more": 1}),
            (FLUSH, "group", {}),
            (FLUSH, "", {"more": 1}),
        ):
            with self.subTest(content=content):
                self.assertRefused(self.codec.encode(*content))

    @cites("EN-9", "A body must be shorter than")
    def test_a_message_over_the_limit_is_refused(self):
        codec = Codec(limit=100, pure=self.pure)
        for message in (
            {"a": b"b" * 98},
            {"a": [1.5] * 97},
            {"a": "\U0001f40e" * 98},
            {"a" * 98: {}},
        ):
            with self.subTest(message=message):
                copy_message(message, 100)
                payload = codec.encode(MESSAGE, "", message)
                self.assertEqual(codec.decode(payload), (MESSAGE, "", message))
                message["b"] = 0
                payload = self.codec.encode(MESSAGE, "", message)
                with self.assertRaisesMessage(EnvelopeError, "too large"):
                    codec.decode(payload)
        self.assertEqual(Codec().limit, 2097152)

    @cites("EN-9", "refused, by who writes and by who reads")
    def test_an_envelope_over_the_limit_is_refused(self):
        # An empty str has a size of 0, but a byte.
        codec = Codec(limit=100, pure=self.pure)
        self.assertEqual(codec.max_length, 9 * 100 + 1024)
        message = {"a": [""] * (codec.max_length - 10)}
        copy_message(message, 100)
        payload = codec.encode(MESSAGE, "", message)
        self.assertEqual(codec.decode(payload), (MESSAGE, "", message))
        message["a"].append("")
        with self.assertRaisesMessage(MessageTooLarge, "1924 bytes"):
            codec.encode(MESSAGE, "", message)
        payload = self.codec.encode(MESSAGE, "", message)
        with self.assertRaisesMessage(EnvelopeError, "1924 bytes, too many"):
            codec.decode(payload)

    @cites("EN-10", "must not take more memory than is in proportion to the bytes")
    def test_announced_lengths_take_no_memory(self):
        start = b"\x01\x93\x00\xa0\x81\xa1a"
        payloads = [
            start + code + b"\xff\xff\xff\xff" for code in (b"\xdd", b"\xdf", b"\xdb")
        ]
        payloads.append(start + b"\xc6\xff\xff\xff\xff")
        payloads.append(start + b"\xdc\xff\xff" * 900)
        payloads.append(start + b"\xdd\x0f\xff\xff\xff" * 900)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for payload in payloads:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            self.assertRefused(payload)
            _, peak = tracemalloc.get_traced_memory()
            self.assertLess(peak - before, 10**6)

    def test_random_bytes_are_refused(self):
        source = random.Random(3)
        for _ in range(500):
            payload = source.randbytes(source.randrange(60))
            self.assertRefused(payload)
            self.assertRefused(b"\x01" + payload)
            self.assertRefused(b"\x01\x93\x00\xa0\x81\xa1a" + payload + b"\xc1")

    def test_nothing_of_the_content_is_in_an_error(self):
        for payload in (
            b"\x01\x93\x00\xa0\x81\xa1a\xa6secret\xc0",
            b"\x01\x93\x00\xa0\x81\xa1a\xa7secret\xff",
            b"\x01\x93\x00\xa0\x81\xa6secret\xd4\x05s",
            self.codec.encode(MESSAGE, "secret secret", {}),
            self.codec.encode(9, "secret", {}),
            self.codec.encode(FLUSH, "secret", {"secret": 1}),
        ):
            with self.assertRaisesMessage(EnvelopeError, "The envelope ") as caught:
                self.codec.decode(payload)
            error = caught.exception
            self.assertNotIn("secret", str(error))
            self.assertTrue(error.__context__ is None or error.__suppress_context__)

    def test_a_pickle_is_not_loaded(self):
        with mock.patch.object(pickle, "loads") as loads:
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                self.assertRefused(pickle.dumps({"a": 1}, protocol), "no version")
        loads.assert_not_called()

    @cites("EN-4", "must be in inboxes only")
    @cites("EN-4", "is one of that inbox, and so is the target of a message")
    def test_what_does_not_belong_to_a_queue_is_refused(self):
        channel = {"channel": "in!x"}
        for kind, target, message, places in (
            (MESSAGE, "", {}, ["plain", "one?x"]),
            (MESSAGE, "in!x", {}, ["in!"]),
            (MESSAGE, "one?x", {}, []),
            (MESSAGE, "plain", {}, []),
            (GROUP, "group", {}, ["plain", "one?x", "in!", "in.in!"]),
            (ADD, "group", channel, ["in!"]),
            (DISCARD, "group", channel, ["in!"]),
            (FLUSH, "", {}, ["in!", "in.in!"]),
        ):
            payload = self.codec.encode(kind, target, message)
            for queue in ("plain", "one?x", "in!", "in.in!"):
                with self.subTest(kind=kind, target=target, queue=queue):
                    if queue in places:
                        content = self.codec.decode(payload, queue)
                        self.assertEqual(content, (kind, target, message))
                    else:
                        with self.assertRaisesMessage(EnvelopeError, "for an"):
                            self.codec.decode(payload, queue)


class PureCodecTests(CodecTests):
    pure = True

    def test_it_is_used_where_msgspec_is_not_installed(self):
        patch_for(self, envelopes, "msgspec", None)
        codec = Codec()
        self.assertEqual(codec._pack.__module__, envelopes.msgpack.__name__)
        for title, content, envelope in read_examples()["plain"]:
            self.assertEqual(codec.encode(*content), envelope)


@skipUnless(find_spec("msgspec"), "msgspec is not installed.")
class AgreementTests(SimpleTestCase):
    """Both codecs say the same of whatever there is in a store."""

    def say(self, codec, payload):
        try:
            return repr(codec.decode(payload))
        except EnvelopeError:
            return None

    def test_errors_of_older_versions_of_msgspec_are_ours(self):
        """Before 0.22, its own are no ValueErrors, and a map as a key is another."""

        class OlderError(Exception):
            pass

        older = mock.Mock(MsgspecError=OlderError)
        older.msgpack.Decoder().decode.side_effect = OlderError, TypeError
        patch_for(self, envelopes, "msgspec", older)
        codec = Codec()
        for _ in range(2):
            message = "The envelope is not well-formed."
            with self.assertRaisesMessage(EnvelopeError, message):
                codec.decode(b"\x01\x90")

    def test_both_have_the_same_verdict_on_damaged_envelopes(self):
        source = random.Random(11)
        fast, pure = Codec(), Codec(pure=True)
        payloads = [
            example.envelope
            for section in ("plain", "accepted", "refused")
            for example in read_examples()[section]
        ]
        verdicts = set()
        for _ in range(8000):
            payload = bytearray(source.choice(payloads))
            for _ in range(source.choice([1, 1, 2, 5])):
                place = source.randrange(len(payload) + 1)
                end = place + source.randrange(3)
                # The codes of all types are from 80 on, mostly.
                payload[place:end] = [source.choice([source.randrange(256), 0xC0, 1])]
            payload = bytes(payload)
            said = self.say(fast, payload)
            self.assertEqual(said, self.say(pure, payload), payload.hex(" "))
            verdicts.add(said is None)
        self.assertEqual(verdicts, {True, False})


class ReaderTests(SimpleTestCase):
    """What a layer does with what is in its store."""

    def setUp(self):
        self.layer = DictChannelLayer()
        self.addCleanup(self.layer.close)
        self.codec = Codec()

    def append(self, name, *contents):
        payloads = [
            content if isinstance(content, bytes) else self.codec.encode(*content)
            for content in contents
        ]
        self.layer._store.append([(name, 100, payloads)])

    @cites("EN-11", "must drop them, count them as dropped, and go on")
    def test_foreign_bytes_are_dropped_counted_and_reported_without_content(self):
        bad = [example.envelope for example in read_examples()["refused"]]
        bad += [b"secret", pickle.dumps("secret"), self.codec.encode(0, "sec ret", {})]
        for name, target in (("plain", ""), ("one?x", ""), ("in!", "in!x")):
            layer = self.layer = DictChannelLayer()
            self.addCleanup(layer.close)
            self.append(name, *bad, (MESSAGE, target, {"n": 1}))
            with self.subTest(name=name):
                with self.assertLogs("django.channels", "ERROR") as logs:
                    received = layer.receive([name])
                self.assertEqual(received, (target or name, {"n": 1}))
                (record,) = logs.records
                self.assertNotIn("sec", record.getMessage())
                self.assertIn(repr(name), record.getMessage())
                statistics = layer.statistics(name)
                self.assertEqual(statistics["dropped_count"], len(bad))
                self.assertEqual(statistics["delivered_count"], 1)
                self.assertEqual(statistics["messages_count"], len(bad) + 1)

    @cites("EN-4", "carries out what it reads in order")
    def test_members_are_those_of_the_time_of_the_message(self):
        first, second = (self.layer.new_channel("in!") for _ in range(2))
        self.append(
            "in!",
            (ADD, "group", {"channel": first}),
            (GROUP, "group", {"n": 1}),
            (ADD, "group", {"channel": second}),
            (GROUP, "group", {"n": 2}),
            (DISCARD, "group", {"channel": first}),
            (GROUP, "group", {"n": 3}),
        )
        pairs = self.layer.receive_batch(["in!"], 10)
        expected = [(first, 1), (first, 2), (second, 2), (second, 3)]
        self.assertEqual([(name, m["n"]) for name, m in pairs], expected)

    @cites("EN-4", "4 drops all messages and memberships")
    def test_a_flush_ends_what_was_before(self):
        channel = self.layer.new_channel("in!")
        self.append(
            "in!",
            (ADD, "group", {"channel": channel}),
            (MESSAGE, channel, {"n": 1}),
            (FLUSH, "", {}),
            (GROUP, "group", {"n": 2}),
            (MESSAGE, channel, {"n": 3}),
        )
        self.assertEqual(self.layer.receive_batch(["in!"], 9), [(channel, {"n": 3})])
