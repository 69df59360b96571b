"""
What a WSGI server is given of a response.

In: response messages, from a WsgiConnection. Out: a status line, and an iterable of
the parts of the body.
"""

from http.client import responses

from django.channels.interface.http import CREDIT_BATCH


class Parts:
    """The body of a response of many messages, as WSGI servers read it."""

    def __init__(self, connection, first):
        self._connection = connection
        self._next = first
        self._passed_on = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self._next is None:
            if self._passed_on >= CREDIT_BATCH:
                self._connection.send_credit(chunks=self._passed_on)
                self._passed_on = 0
            self._next = self._connection.next_part()
        elif not self._next:
            raise StopIteration
        reply = self._next
        # Falsy, but not None: there is no other.
        self._next = None if reply.get("more_content") else {}
        self._passed_on += 1
        return reply.get("content", b"")

    def close(self):
        """Stop the response if it is not at its end."""
        self._connection.close()


def status_line(status):
    """Return the status and its reason, as WSGI has them."""
    return f"{status} {responses.get(status, 'Unknown Status Code')}"
