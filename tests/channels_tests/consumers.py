"""Consumers that tests route to."""

from django.channels import Channel, Group, route


def connect(message, room="lobby"):
    message.reply_channel.send({"accept": True})
    Group(f"room-{room}").add(message.reply_channel)


def receive(message, room="lobby"):
    """Echo, tell the room, fail or have it done elsewhere, as the text says."""
    text = message["text"]
    if text.startswith("all "):
        Group(f"room-{room}").send({"text": text[4:]})
    elif text.startswith("later "):
        reply_channel = message.reply_channel.name
        Channel("echoes").send({"reply_channel": reply_channel, "text": text[6:]})
    elif text == "fail":
        message.reply_channel.send({"text": "This is never sent."})
        raise ValueError("The client asked for it.")
    else:
        message.reply_channel.send({"text": text})


def disconnect(message, room="lobby"):
    Group(f"room-{room}").discard(message.reply_channel)


def echoes(message):
    message.reply_channel.send({"text": message["text"]})


channel_routing = [
    route("websocket.connect", connect, path="^/chat/(?P<room>[a-z]+)/$"),
    route("websocket.receive", receive, path="^/chat/(?P<room>[a-z]+)/$"),
    route("websocket.disconnect", disconnect, path="^/chat/(?P<room>[a-z]+)/$"),
    route("echoes", echoes),
]
