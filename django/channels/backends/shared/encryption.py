"""
Encryption of envelopes: AES-256-GCM with keys derived from configured texts.

In: envelopes.py, with the bodies of envelopes. Out: envelopes.py again. Whoever
reads or writes the store without a key neither reads a message nor makes one.
"""

import os
from functools import lru_cache

from django.channels.exceptions import InvalidChannelLayerError

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
except ImportError:
    AESGCM = None

# The fewest characters or bytes of a configured key.
MIN_KEY_LENGTH = 16

# Bytes of the parts of an encrypted envelope, in order, after its first byte.
ID_BYTES = 4
SALT_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16
# Bytes of the header: all but the nonce, what is encrypted, and the tag.
HEADER_BYTES = 1 + ID_BYTES + SALT_BYTES

# What the derived bytes are for.
ID_INFO = b"django.channels envelope 2 id"
KEY_INFO = b"django.channels envelope 2 key"
KEY_BYTES = 32

# With one salt, and so one AES key, no more envelopes are made. At 2**32 of them
# two would have the same nonce with a chance of 2**-33.
MAX_ENVELOPES = 2**31
# How many senders' keys a reader remembers.
MAX_SALTS = 1024


class Box:
    """
    Closes and opens envelopes with several keys; safe in every thread.

    Each box has an AES key of its own, from the first configured key and a random
    salt, so that many processes may pick random nonces for a long time.
    """

    def __init__(self, version, keys):
        secrets = _check_keys(keys)
        if AESGCM is None:
            raise InvalidChannelLayerError(
                "Encryption needs the package cryptography: python -m pip install "
                "cryptography."
            )
        self._version = version
        self._secrets = {}
        for secret in secrets:
            self._secrets.setdefault(_derive(secret, b"", ID_INFO, ID_BYTES), secret)
        self._id = next(iter(self._secrets))
        self._get_cipher = lru_cache(maxsize=MAX_SALTS)(self._make_cipher)
        self._change_salt()

    def _make_cipher(self, id, salt):
        return AESGCM(_derive(self._secrets[id], salt, KEY_INFO, KEY_BYTES))

    def _change_salt(self):
        salt = os.urandom(SALT_BYTES)
        header = self._version + self._id + salt
        # Assigned at once: other threads take both or none.
        self._current = header, self._make_cipher(self._id, salt)
        self._count = 0

    def close(self, body):
        """Return the envelope of a body."""
        # Some that threads count at the same time are missed, which is no matter.
        self._count += 1
        if self._count >= MAX_ENVELOPES:
            self._change_salt()
        header, cipher = self._current
        nonce = os.urandom(NONCE_BYTES)
        return header + nonce + cipher.encrypt(nonce, body, header)

    def open(self, payload):
        """Return the body of an envelope; raise ValueError if it has no key of ours."""
        if len(payload) < HEADER_BYTES + NONCE_BYTES + TAG_BYTES:
            raise ValueError("is too short to be encrypted")
        header = payload[:HEADER_BYTES]
        if header[:1] != self._version:
            raise ValueError("is not encrypted")
        id = header[1 : 1 + ID_BYTES]
        if id not in self._secrets:
            raise ValueError("is encrypted with a key that this layer does not have")
        cipher = self._get_cipher(id, header[1 + ID_BYTES :])
        nonce = payload[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES]
        try:
            return cipher.decrypt(nonce, payload[HEADER_BYTES + NONCE_BYTES :], header)
        except InvalidTag:
            raise ValueError("is damaged or encrypted with another key") from None


def _check_keys(keys):
    """Return configured keys as bytes; an error tells nothing of them."""
    if not isinstance(keys, (list, tuple)) or not keys:
        what = "an empty list" if isinstance(keys, (list, tuple)) else type(keys)
        raise InvalidChannelLayerError(
            "symmetric_encryption_keys must be a list of at least one str or "
            f"bytes, not {what}."
        )
    return [_check_key(key) for key in keys]


def _check_key(key):
    if not isinstance(key, (str, bytes)):
        raise InvalidChannelLayerError(
            "A key of symmetric_encryption_keys must be a str or bytes, not "
            f"{type(key)}."
        )
    if len(key) < MIN_KEY_LENGTH:
        raise InvalidChannelLayerError(
            f"A key of symmetric_encryption_keys must have at least {MIN_KEY_LENGTH} "
            f"characters or bytes, not {len(key)}."
        )
    try:
        return key.encode() if isinstance(key, str) else bytes(key)
    except UnicodeEncodeError:
        raise InvalidChannelLayerError(
            "A key of symmetric_encryption_keys must be a str without lone "
            "surrogates, or bytes."
        ) from None


def _derive(secret, salt, info, length):
    return HKDF(SHA256(), length, salt, info).derive(secret)
