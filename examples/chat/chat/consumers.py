import json

from django.channels import Group

from .forms import PostForm
from .models import Post

# How many posts a page is shown when it joins a room.
HISTORY = 50


def ws_connect(message, room):
    """Let a page join a room and show it what was said there."""
    message.reply_channel.send({"accept": True})
    Group(f"chat-{room}").add(message.reply_channel)
    latest = Post.objects.filter(room=room).order_by("-id")[:HISTORY]
    message.reply_channel.send(pack(posts=[post.as_dict() for post in latest]))


def ws_receive(message, room):
    """Store what a page sent and show it to every page in the room."""
    form = PostForm(unpack(message), instance=Post(room=room))
    if form.is_valid():
        post = form.save()
        Group(f"chat-{room}").send(pack(posts=[post.as_dict()]))
    else:
        message.reply_channel.send(pack(errors=form.errors.get_json_data()))


def ws_disconnect(message, room):
    """Let a page leave a room."""
    Group(f"chat-{room}").discard(message.reply_channel)


def pack(**data):
    """Return the message that brings data to a page."""
    return {"text": json.dumps(data)}


def unpack(message):
    """Return the strings that a page sent: none unless they are a JSON object."""
    try:
        data = json.loads(message.get("text") or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {}
    # JSON can hold half a character, a lone surrogate; a database cannot.
    return {
        key: value.encode(errors="replace").decode()
        for key, value in data.items()
        if isinstance(value, str)
    }
