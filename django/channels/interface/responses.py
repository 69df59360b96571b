"""
The response to one HTTP request, as its server's events.

In: response messages of the consumer, from http.py. Out: http.response events.
"""

_KEYS = {"type", "status", "headers", "content", "more_content", "credit_channel"}


class ResponseWriter:
    """
    Writes a response to an ASGI server's ``send``.

    ``started`` and ``complete`` tell how far it is.
    """

    def __init__(self, send):
        self._send = send
        self.started = False
        self.complete = False

    async def write(self, reply):
        """
        Write one response message.

        Raise ValueError, and write nothing, for one that is not as
        specs/protocols/http.rst describes it.
        """
        self._check(reply)
        if not self.started:
            await self._start(reply["status"], reply.get("headers", []))
        self.complete = not reply.get("more_content", False)
        await self._send(
            {
                "type": "http.response.body",
                "body": reply.get("content", b""),
                "more_body": not self.complete,
            }
        )

    async def refuse(self, status, reason):
        """
        Answer with an error of the interface's own.

        Once a response has begun, all that can be done is to end it here.
        """
        if not self.started:
            body = f"{reason}\n".encode()
            headers = [
                [b"Content-Type", b"text/plain; charset=utf-8"],
                [b"Content-Length", str(len(body)).encode()],
            ]
            await self.write({"status": status, "headers": headers, "content": body})

    async def _start(self, status, headers):
        self.started = True
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(bytes(name), bytes(value)) for name, value in headers],
            }
        )

    def _check(self, reply):
        if unknown := set(reply) - _KEYS:
            raise ValueError(
                f"A response has no {', '.join(sorted(unknown))}; it knows "
                f"{', '.join(sorted(_KEYS))}."
            )
        if not self.started:
            self._check_start(reply)
        content = reply.get("content", b"")
        if not isinstance(content, bytes):
            raise ValueError(
                f"The content of a response must be bytes, not "
                f"{type(content).__name__}."
            )

    def _check_start(self, reply):
        status = reply.get("status")
        if type(status) is not int or not 100 <= status <= 999:
            raise ValueError(
                f"The status of a response must be an int from 100 to 999, not "
                f"{status!r}."
            )
        for header in reply.get("headers", []):
            if len(header) != 2 or not all(isinstance(part, bytes) for part in header):
                raise ValueError(
                    f"A header of a response must be a pair of bytes, not {header!r}."
                )
