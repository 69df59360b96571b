"""
A program that knows a Redis layer by its pages only, and nothing of Django.

It is written from specs/redis.rst and specs/envelopes.rst, for a layer on one
server. What its input says, it does, as peer.py.
"""

import ast
import os
import socket
import sys
from pathlib import Path

# In milliseconds.
EXPIRY = 60_000
CONSTANTS = {
    "REPEAT_MS": 120_000,
    "EPOCH_MS": 30 * 86_400_000,
    "LEASE_MS": 10_000,
    "MEMORY_MS": 3_600_000,
    "SINGLE_READER_MEMORY_MS": 60_000,
    "UNCLAIMED_MS": 86_400_000,
}
CAPACITY = 100


class Redis:
    """A connection on a Unix socket, in the protocol of Redis."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._file = self._socket.makefile("rb")

    def command(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            word = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
        self._socket.sendall(b"".join(parts))
        return self._read()

    def _read(self):
        line = self._file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind in b"+":
            return rest
        number = int(rest)
        if kind == b":":
            return number
        if number < 0:
            return None
        if kind == b"*":
            return [self._read() for _ in range(number)]
        return self._file.read(number + 2)[:-2]


class Client:
    """Sends to channels and groups, and receives from what is not a group's."""

    def __init__(self, path, prefix, folder):
        self._redis = Redis(path)
        self._folder = Path(folder)
        self._name = os.urandom(8).hex()
        self._number = 0
        self._cursors = {}
        # RD-3: the generation of this run of the server.
        generation = os.urandom(4).hex()
        _, generation = self._run_with_key(
            "epoch", f"{prefix}epoch", generation, "", ""
        )
        # RD-1: what keys begin with.
        self._start = f"{prefix}{generation.decode()}:"

    def send(self, channel, message):
        inbox, mark, _ = channel.partition("!")
        target = channel if mark else ""
        queue = inbox + mark if mark else channel
        envelope = b"\x01" + pack([0, target, message])
        (stored,) = self._run(
            "append", self._name, self._next(), EXPIRY, queue, CAPACITY, 1, envelope
        )
        return stored == 1

    def send_group(self, group, message):
        envelope = b"\x01" + pack([1, group, message])
        self._run("send_group", self._name, self._next(), EXPIRY, group, envelope)

    def group_add(self, group, channel):
        self._run("add", group, channel, CAPACITY, EXPIRY)

    def receive(self, queue):
        words = (queue, self._cursors.get(queue, ""))
        sender = (self._name, self._name, self._next(), 0)
        reply = self._run("take", *sender, 1, "", EXPIRY, *words)
        for _, kind, found in reply[1:]:
            if kind == b"c":
                self._cursors[queue] = found
            elif kind == b"l":
                # RD-6: 15 digits and the envelope.
                return self._open(queue, found[0][15:])
            elif kind == b"s":
                self._cursors[queue], (header, envelope) = found[0]
                # RD-7: the kind of the entry, and how many messages it has.
                if header.split()[:2] == [b"m", b"1"]:
                    return self._open(queue, envelope)
        return None

    def _open(self, queue, envelope):
        if envelope[:1] != b"\x01":
            raise ValueError("This is no envelope, or an encrypted one.")
        (kind, target, message), rest = unpack(envelope[1:])
        if rest or kind > 1:
            raise ValueError("This is no message.")
        return target if kind == 0 and target else queue, message

    def _next(self):
        self._number += 1
        return self._number

    def _run(self, name, *words):
        return self._run_with_key(name, self._start, *words)

    def _run_with_key(self, name, key, *words):
        body = self._read(name)
        used = ["common"]
        for line in body.splitlines():
            if line.startswith("-- Uses: "):
                used += line.split()[2:]
        constants = [f"local {key} = {value}\n" for key, value in CONSTANTS.items()]
        script = "".join([*constants, *map(self._read, used), body])
        return self._redis.command("EVAL", script, 1, key, *words)

    def _read(self, name):
        return (self._folder / f"{name}.lua").read_text()


def pack(value):
    """Return the envelope's form of a small value (EN-5 and EN-6)."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        if -32 <= value < 128:
            return bytes([value & 255])
        assert 128 <= value < 256
        return b"\xcc" + bytes([value])
    if isinstance(value, str):
        text = value.encode()
        start = [160 + len(text)] if len(text) < 32 else [0xD9, len(text)]
        return bytes(start) + text
    if isinstance(value, bytes):
        return bytes([0xC4, len(value)]) + value
    if isinstance(value, list):
        assert len(value) < 16
        return bytes([0x90 + len(value)]) + b"".join(map(pack, value))
    assert len(value) < 16
    items = (pack(key) + pack(item) for key, item in value.items())
    return bytes([0x80 + len(value)]) + b"".join(items)


def unpack(data):
    """Return a small value, and what follows it."""
    code, data = data[0], data[1:]
    if code < 128 or code >= 224:
        return (code if code < 128 else code - 256), data
    if code in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[code], data
    if code == 0xCC:
        return data[0], data[1:]
    if 160 <= code < 192:
        return data[: code - 160].decode(), data[code - 160 :]
    if code in (0xC4, 0xD9):
        size, data = data[0], data[1:]
        found = data[:size] if code == 0xC4 else data[:size].decode()
        return found, data[size:]
    if 144 <= code < 160:
        items = []
        for _ in range(code - 144):
            item, data = unpack(data)
            items.append(item)
        return items, data
    assert 128 <= code < 144, f"{code:x} is for larger values."
    found = {}
    for _ in range(code - 128):
        key, data = unpack(data)
        found[key], data = unpack(data)
    return found, data


def main():
    client = Client(*ast.literal_eval(sys.argv[1]))
    print(("ready", sys.version_info[:2]), flush=True)
    for line in sys.stdin:
        name, args = ast.literal_eval(line)
        print((name, getattr(client, name)(*args)), flush=True)
    print(("modules", sorted(name for name in sys.modules if "django" in name)))


if __name__ == "__main__":
    main()
