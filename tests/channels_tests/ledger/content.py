"""What the messages of a ledger hold: an id, and values that follow from it."""

import hashlib

# A message is as long as this many bytes, or a little more.
SIZE_BYTES = 100


def make_message(identity):
    """Return the message with an id; no other one has its content."""
    digest = hashlib.sha256(identity.encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    return {
        "id": identity,
        "bytes": (digest * (SIZE_BYTES // len(digest) + 1))[:SIZE_BYTES],
        "text": f"{digest.hex()[:8]}\u00df\U0001f409\x00",
        "values": [number, number / 3, None, True, {"": -0.0, "empty": []}],
    }


def is_whole(message):
    """Return whether a message is exactly as it was made."""
    return repr(message) == repr(make_message(message.get("id", "")))
