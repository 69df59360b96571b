"""Connections to an ASGI 3 application, without a server."""

from asgiref.testing import ApplicationCommunicator

from .utils import TIMEOUT


class Connection(ApplicationCommunicator):
    """
    The server's side of one connection: put events in, get events out.

    ``extra`` replaces keys of the scope.
    """

    def __init__(self, application, kind, path="/", headers=(), **extra):
        scope = {
            "type": kind,
            "path": path,
            "query_string": b"",
            "root_path": "",
            "headers": list(headers),
            "client": ["127.0.0.1", 50000],
            "server": ["127.0.0.1", 80],
            **extra,
        }
        super().__init__(application, scope)

    async def put(self, event_type, **content):
        """Have the application receive an event."""
        await self.send_input({"type": event_type, **content})

    async def get(self):
        """Return the next event that the application sends."""
        return await self.receive_output(TIMEOUT)

    async def ended(self):
        """Wait until the application returns; raise what it raises."""
        await self.wait(TIMEOUT)


class HttpClient(Connection):
    def __init__(self, application, path="/", method="GET", **options):
        super().__init__(
            application, "http", path, method=method, http_version="1.1", **options
        )

    async def request(self, body=b""):
        """Put a whole request and return (status, headers, body)."""
        await self.put("http.request", body=body, more_body=False)
        return await self.response()

    async def response(self):
        """Return (status, headers, body) of a whole response."""
        start = await self.get()
        parts = []
        while True:
            event = await self.get()
            parts.append(event["body"])
            if not event["more_body"]:
                break
        await self.ended()
        return start["status"], dict(start["headers"]), b"".join(parts)


class WebSocketClient(Connection):
    def __init__(self, application, path="/", **options):
        super().__init__(application, "websocket", path, **options)

    async def connect(self):
        """Ask for the socket and return the application's answer."""
        await self.put("websocket.connect")
        return await self.get()

    async def disconnect(self, code=1001):
        """End the socket from the client's side."""
        await self.put("websocket.disconnect", code=code)
        await self.ended()
