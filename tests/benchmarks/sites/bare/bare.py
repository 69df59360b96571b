"""The limit of the server: an ASGI 3 application without Django."""

members = set()


async def application(scope, receive, send):
    """Echo, or broadcast to the sockets whose path ends in member/."""
    if scope["type"] != "websocket":
        raise ValueError(f"Only sockets are served here, not {scope['type']}.")
    await receive()
    if scope["path"].endswith("/member/"):
        members.add(send)
    await send({"type": "websocket.accept"})
    try:
        while (event := await receive())["type"] == "websocket.receive":
            message = {"type": "websocket.send", "text": event["text"]}
            if scope["path"].endswith("/sender/"):
                for member in list(members):
                    await member(message)
            else:
                await send(message)
    finally:
        members.discard(send)
