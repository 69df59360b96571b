"""Encrypted envelopes."""

import hashlib
import hmac
import logging
from importlib.util import find_spec
from unittest import mock, skipUnless

from django.channels.backends.shared import encryption
from django.channels.backends.shared.envelopes import (
    ADD,
    GROUP,
    MESSAGE,
    Codec,
    EnvelopeError,
)
from django.channels.exceptions import InvalidChannelLayerError
from django.test import SimpleTestCase
from django.test.channel_layers import cites

from .dict_store import DictChannelLayer, World
from .envelopes import read_examples
from .utils import patch_for

SECRET = "correct horse battery staple"
OLD = "a secret of long ago"
NEW = b"\x00\xff" * 8
CONTENT = (MESSAGE, "in!x", {"text": "hello"})


def derive(secret, salt, info, length):
    """Return what RFC 5869 says, with the hashes of Python."""
    key = hmac.digest(salt or bytes(32), secret, hashlib.sha256)
    return hmac.digest(key, info + b"\x01", hashlib.sha256)[:length]


@skipUnless(find_spec("cryptography"), "cryptography is not installed.")
class EncryptionTestCase(SimpleTestCase):
    def assertRefused(self, codec, payload, text="The envelope "):
        with self.assertRaisesMessage(EnvelopeError, text):
            codec.decode(payload)


class FormTests(EncryptionTestCase):
    def setUp(self):
        ((_, self.content, self.envelope),) = read_examples()["encrypted"]

    @cites("EN-12", "An encrypted envelope must be: the header")
    def test_the_example_is_written_and_read(self):
        random_bytes = [self.envelope[5:21], self.envelope[21:33]]
        with mock.patch.object(
            encryption.os, "urandom", side_effect=lambda n: random_bytes.pop(0)
        ) as urandom:
            envelope = Codec([SECRET]).encode(*self.content)
        self.assertEqual(envelope, self.envelope)
        self.assertEqual(urandom.mock_calls, [mock.call(16), mock.call(12)])
        self.assertEqual(Codec([SECRET]).decode(envelope), self.content)

    @cites("EN-12", "encrypted by AES-256-GCM with the header as associated data")
    @cites("EN-13", "The secret must be used as HKDF's input key, a text as UTF-8")
    def test_another_program_reads_it_by_the_specification(self):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        for secret in (SECRET, "sécret sécret sécret", NEW):
            envelope = Codec([secret]).encode(*self.content)
            if isinstance(secret, str):
                secret = secret.encode()
            header, nonce, rest = envelope[:21], envelope[21:33], envelope[33:]
            info = b"django.channels envelope 2 id"
            self.assertEqual(header[:5], b"\x02" + derive(secret, b"", info, 4))
            key = derive(secret, header[5:], b"django.channels envelope 2 key", 32)
            body = AESGCM(key).decrypt(nonce, rest, header)
            self.assertEqual(b"\x01" + body, Codec().encode(*self.content))

    def test_every_changed_bit_is_noticed(self):
        codec = Codec([SECRET])
        for place in range(len(self.envelope)):
            for bit in range(8):
                changed = bytearray(self.envelope)
                changed[place] ^= 1 << bit
                self.assertRefused(codec, bytes(changed))

    def test_every_part_is_refused(self):
        codec = Codec([SECRET])
        for end in range(len(self.envelope)):
            self.assertRefused(codec, self.envelope[:end])
        self.assertRefused(codec, self.envelope + b"\x00")

    def test_a_message_is_not_readable(self):
        message = {"text": "hello"}
        for kind, target in ((MESSAGE, "in!x"), (GROUP, "room")):
            envelope = Codec([SECRET]).encode(kind, target, message)
            for word in (b"text", b"hello", target.encode(), SECRET.encode()):
                self.assertNotIn(word, envelope)

    @cites("EN-12", "nobody without the key makes one, nor one of another kind")
    def test_a_message_cannot_be_turned_into_another_kind(self):
        # The kind is the second byte of the body, which is encrypted by a stream:
        # without the tag, this would be the begin of a membership.
        codec = Codec([SECRET])
        envelope = bytearray(codec.encode(GROUP, "group", {"channel": "in!x"}))
        envelope[34] ^= GROUP ^ ADD
        self.assertRefused(codec, bytes(envelope), "damaged")


class RandomTests(EncryptionTestCase):
    @cites("EN-14", "the nonce is random for each envelope")
    def test_no_two_envelopes_have_the_same_nonce(self):
        codec = Codec([SECRET])
        envelopes = [codec.encode(*CONTENT) for _ in range(1000)]
        self.assertEqual(len({envelope[21:33] for envelope in envelopes}), 1000)
        self.assertEqual(len({envelope[:21] for envelope in envelopes}), 1)

    @cites("EN-14", "The salt must be random for each sender")
    def test_each_sender_has_a_salt(self):
        envelopes = [Codec([SECRET]).encode(*CONTENT) for _ in range(50)]
        self.assertEqual(len({envelope[5:21] for envelope in envelopes}), 50)
        self.assertEqual(len({envelope[1:5] for envelope in envelopes}), 1)

    @cites("EN-14", "and again after 2,147,483,648 envelopes")
    def test_a_salt_is_not_used_for_ever(self):
        self.assertEqual(encryption.MAX_ENVELOPES, 2_147_483_648)
        patch_for(self, encryption, "MAX_ENVELOPES", 3)
        codec, reader = Codec([SECRET]), Codec([SECRET])
        envelopes = [codec.encode(*CONTENT) for _ in range(9)]
        self.assertGreaterEqual(len({envelope[5:21] for envelope in envelopes}), 3)
        for envelope in envelopes:
            self.assertEqual(reader.decode(envelope), CONTENT)

    def test_a_reader_remembers_a_bounded_number_of_salts(self):
        patch_for(self, encryption, "MAX_SALTS", 5)
        reader = Codec([SECRET])
        envelope = Codec([SECRET]).encode(*CONTENT)
        for n in range(20):
            salted = envelope[:5] + bytes([n]) * 16 + envelope[21:]
            self.assertRefused(reader, salted, "damaged or encrypted with another key")
        self.assertEqual(reader._box._get_cipher.cache_info().currsize, 5)
        self.assertEqual(reader.decode(envelope), CONTENT)


class KeyTests(EncryptionTestCase):
    @cites("EN-15", "The first secret of a layer must encrypt, and each of them")
    @cites("EN-15", "add it behind the others everywhere, put it first, remove")
    def test_keys_change_without_a_moment_in_which_nothing_is_read(self):
        steps = [[OLD], [OLD, NEW], [NEW, OLD], [NEW]]
        for before, after in zip(steps, steps[1:]):
            for writer, reader in ((before, after), (after, before), (after, after)):
                envelope = Codec(writer).encode(*CONTENT)
                self.assertEqual(Codec(reader).decode(envelope), CONTENT)
        for writer, reader in ((OLD, NEW), (NEW, OLD)):
            envelope = Codec([writer]).encode(*CONTENT)
            self.assertRefused(Codec([reader]), envelope, "key that this layer does")

    @cites("EN-16", "A layer that has secrets must refuse what is not encrypted")
    def test_a_layer_with_keys_refuses_what_is_not_encrypted(self):
        codec = Codec([SECRET])
        envelope = Codec().encode(MESSAGE, "", {"text": "long enough to be one" * 3})
        self.assertRefused(codec, envelope, "is not encrypted")
        self.assertRefused(codec, b"", "too short")
        for example in read_examples()["plain"] + read_examples()["refused"]:
            self.assertRefused(codec, example.envelope)

    @cites("EN-16", "One that has none refuses what is encrypted")
    def test_a_layer_without_keys_refuses_what_is_encrypted(self):
        envelope = Codec([SECRET]).encode(*CONTENT)
        self.assertRefused(Codec(), envelope, "encrypted, and this layer has no keys")

    def test_what_is_encrypted_is_checked_like_everything_else(self):
        codec = Codec([SECRET])
        for example in read_examples()["refused"]:
            if example.envelope[:1] == b"\x01":
                envelope = codec._box.close(example.envelope[1:])
                with self.subTest(example.title):
                    self.assertRefused(codec, envelope)

    @cites("EN-17", "A secret must have at least 16 characters or bytes")
    def test_bad_keys_are_refused(self):
        for keys, text in (
            (SECRET, "must be a list of at least one str or bytes, not <class 'str'>"),
            (NEW, "must be a list of at least one str or bytes, not <class 'bytes'>"),
            ([], "must be a list of at least one str or bytes, not an empty list"),
            ({SECRET}, "must be a list of at least one str or bytes, not <class 'set"),
            ([SECRET, 5], "must be a str or bytes, not <class 'int'>"),
            ([SECRET, None], "must be a str or bytes, not <class 'NoneType'>"),
            ([SECRET, "x" * 15], "at least 16 characters or bytes, not 15"),
            ([b""], "at least 16 characters or bytes, not 0"),
            (["\ud800" * 16], "a str without lone surrogates"),
        ):
            with self.subTest(keys=keys):
                with self.assertRaisesMessage(InvalidChannelLayerError, text) as caught:
                    Codec(keys)
                self.assertNotIn(SECRET, str(caught.exception))
                self.assertIsNone(caught.exception.__cause__)
        Codec(("x" * 16, b"x" * 16))

    def test_the_error_says_what_to_install(self):
        patch_for(self, encryption, "AESGCM", None)
        with self.assertRaisesMessage(
            InvalidChannelLayerError, "python -m pip install cryptography"
        ):
            Codec([SECRET])


class SecrecyTests(EncryptionTestCase):
    @cites("EN-17", "part of an error, a log or a representation")
    def test_no_key_is_in_a_representation(self):
        codec = Codec([SECRET, NEW])
        layer = DictChannelLayer(symmetric_encryption_keys=[SECRET, NEW])
        self.addCleanup(layer.close)
        text = repr([codec, codec._box, layer, layer.describe(), vars(layer)])
        text += str(vars(codec))
        for secret in (SECRET, repr(NEW)[2:-1]):
            self.assertNotIn(secret, text)

    @cites("EN-17", "part of an error, a log or a representation")
    def test_no_key_is_in_an_error_or_a_log(self):
        reader = Codec([SECRET])
        for payload in (b"", b"\x02" * 60, Codec([NEW]).encode(*CONTENT)):
            with self.assertRaisesMessage(EnvelopeError, "") as caught:
                reader.decode(payload)
            self.assertNotIn(SECRET, str(caught.exception))
            self.assertTrue(caught.exception.__suppress_context__)


class LayerTests(EncryptionTestCase):
    def test_layers_with_keys_talk(self):
        world = World()
        a = DictChannelLayer(world, symmetric_encryption_keys=[OLD, NEW])
        b = DictChannelLayer(world, symmetric_encryption_keys=[NEW, OLD])
        name = b.new_channel("in!")
        a.group_add("group", name)
        a.send("plain", {"n": 1})
        a.send_group("group", {"n": 2})
        b.send("plain", {"n": 3})
        self.assertEqual(b.receive(["plain"]), ("plain", {"n": 1}))
        self.assertEqual(b.receive(["in!"]), (name, {"n": 2}))
        self.assertEqual(a.receive(["plain"]), ("plain", {"n": 3}))

    def test_a_layer_with_another_key_drops_what_it_cannot_open(self):
        world = World()
        a = DictChannelLayer(world, symmetric_encryption_keys=[OLD])
        b = DictChannelLayer(world, symmetric_encryption_keys=[NEW])
        a.send("plain", {"n": 1})
        b.send("plain", {"n": 2})
        with self.assertLogs("django.channels", logging.ERROR) as logs:
            self.assertEqual(b.receive(["plain"]), ("plain", {"n": 2}))
        self.assertIn("a key that this layer does not have", logs.output[0])
        self.assertEqual(b.statistics("plain")["dropped_count"], 1)
