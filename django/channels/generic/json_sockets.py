"""
Class-based consumers of sockets that carry JSON.

In: the messages of a socket. Out: calls of receive() with what is decoded.
"""

import json
import logging
import reprlib
from functools import partial

from django.channels.generic.sockets import WebsocketConsumer
from django.core.serializers.json import DjangoJSONEncoder

# Close codes for messages that are no JSON, RFC 6455 section 7.4.1.
UNSUPPORTED_DATA = 1003
INVALID_PAYLOAD = 1007

logger = logging.getLogger("django.channels.generic")


class JsonWebsocketConsumer(WebsocketConsumer):
    """
    A consumer of sockets that carry JSON.

    ``receive(content, **kwargs)`` gets what a client sent, decoded.
    """

    def receive(self, content, **kwargs):
        """Do something with what the client sent."""

    def receive_invalid(self, error, **kwargs):
        """
        Deal with a message that is no JSON: close the socket, by default.

        ``error`` is a ValueError, with ``close_code`` if it has a code of its own.
        """
        logger.warning("Closing %r: %s", self.path, error)
        self.close(getattr(error, "close_code", INVALID_PAYLOAD))

    def send(self, content, close=False):
        """Send what can be encoded as JSON. See WebsocketConsumer.send()."""
        super().send(text=self.encode_json(content), close=close)

    @classmethod
    def group_send(cls, name, content, close=False):
        """Send to all sockets in a group. See send()."""
        super().group_send(name, text=cls.encode_json(content), close=close)

    @classmethod
    def decode_json(cls, text):
        """Return what a str of JSON stands for; raise ValueError if it is none."""
        return json.loads(text)

    @classmethod
    def encode_json(cls, content):
        """Return a str of JSON."""
        return json.dumps(content, cls=DjangoJSONEncoder)

    def get_receive(self, message):
        if self._stream is not None:
            return partial(self.receive, self._stream.payload)
        try:
            return partial(self.receive, self._decode(message))
        except ValueError as error:
            return partial(self.receive_invalid, error)

    def _decode(self, message):
        text = message.get("text")
        if text is None:
            error = ValueError("It sent bytes, and JSON comes as text.")
            error.close_code = UNSUPPORTED_DATA
            raise error
        try:
            return self.decode_json(text)
        except RecursionError:
            raise ValueError("Its JSON is nested too deep.") from None
        except json.JSONDecodeError as error:
            raise ValueError(f"{reprlib.repr(text)} is no JSON: {error}") from error
