"""What the tests of class-based consumers share."""

import json

from django.channels.routing import Router
from django.channels.worker import Worker
from django.test import SimpleTestCase

from .layers import make_layer

REPLY_CHANNEL = "interface.reply.x!y"


class ConsumerTestCase(SimpleTestCase):
    """Consumes the messages of one socket by what ``routing`` is set to."""

    routing = ()

    def setUp(self):
        self.layer = make_layer(self.routing)

    def put_first(self, route):
        """Have a route come before the others."""
        router = self.layer.router
        self.layer.router = Router([route, *router.project_routes], True)

    def consume(self, channel, **content):
        """Have a message consumed; return what the socket was sent for it."""
        message = {
            "type": channel,
            "reply_channel": REPLY_CHANNEL,
            "path": "/p/",
            **content,
        }
        Worker(self.layer).consume(channel, message)
        return self.received()

    def connect(self, **content):
        content = {"order": 0, "headers": [], "subprotocols": [], **content}
        return self.consume("websocket.connect", **content)

    def receive(self, **content):
        return self.consume("websocket.receive", order=1, **content)

    def receive_json(self, content, **extra):
        return self.receive(text=json.dumps(content), **extra)

    def disconnect(self, **content):
        return self.consume("websocket.disconnect", order=2, code=1000, **content)

    def received(self):
        """Return the replies to the socket, JSON decoded."""
        replies = []
        while (reply := self.layer.receive(["interface.reply.x!"])[1]) is not None:
            if "text" in reply:
                try:
                    reply["text"] = json.loads(reply["text"])
                except ValueError:
                    # It is text.
                    pass
            replies.append(reply)
        return replies

    def group_gets(self, name):
        """Return what the socket is sent when a group is sent to."""
        self.layer.send_group(name, {"text": "7"})
        return self.received()
