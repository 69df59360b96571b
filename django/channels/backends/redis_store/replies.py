"""The wire format of Redis in Python, for where hiredis is not installed."""


class ErrorReply(Exception):
    """What a server answers when it refuses a command."""


class ReplyReader:
    """A parser of replies, with the methods of hiredis.Reader."""

    def __init__(self):
        self._data = bytearray()

    def feed(self, data):
        """Add what was read."""
        self._data += data

    def gets(self):
        """Return the next reply, or False if it is not all there yet."""
        try:
            reply, end = self._parse(0)
        except IndexError:
            return False
        del self._data[:end]
        return reply

    def _parse(self, begin):
        """Return the reply that begins there, and where it ends."""
        end = self._data.find(b"\r\n", begin)
        if end < 0:
            raise IndexError
        kind = self._data[begin : begin + 1]
        line = bytes(self._data[begin + 1 : end])
        end += 2
        if kind == b"+":
            return line, end
        if kind == b"-":
            return ErrorReply(line.decode(errors="replace")), end
        count = int(line)
        if kind == b":":
            return count, end
        if count < 0:
            return None, end
        if kind == b"$":
            last = end + count
            if len(self._data) < last + 2:
                raise IndexError
            return bytes(self._data[end:last]), last + 2
        items = []
        for _ in range(count):
            item, end = self._parse(end)
            items.append(item)
        return items, end


def pack(words):
    """Return the bytes of a command."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        if not isinstance(word, bytes):
            word = str(word).encode()
        parts += (b"$%d\r\n" % len(word), word, b"\r\n")
    return b"".join(parts)
