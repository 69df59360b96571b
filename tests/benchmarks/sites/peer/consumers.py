"""The same consumers for Channels 4, in both of its styles."""

from asgiref.sync import async_to_sync
from channels.consumer import AsyncConsumer, SyncConsumer
from channels.exceptions import StopConsumer

EVERYBODY = "everybody"


class SyncEcho(SyncConsumer):
    """Answer with the same text."""

    def websocket_connect(self, event):
        self.send({"type": "websocket.accept"})

    def websocket_receive(self, event):
        self.send({"type": "websocket.send", "text": event["text"]})

    def websocket_disconnect(self, event):
        raise StopConsumer()


class AsyncEcho(AsyncConsumer):
    """Answer with the same text."""

    async def websocket_connect(self, event):
        await self.send({"type": "websocket.accept"})

    async def websocket_receive(self, event):
        await self.send({"type": "websocket.send", "text": event["text"]})

    async def websocket_disconnect(self, event):
        raise StopConsumer()


class SyncMember(SyncConsumer):
    """A socket of the group."""

    def websocket_connect(self, event):
        async_to_sync(self.channel_layer.group_add)(EVERYBODY, self.channel_name)
        self.send({"type": "websocket.accept"})

    def websocket_disconnect(self, event):
        async_to_sync(self.channel_layer.group_discard)(EVERYBODY, self.channel_name)
        raise StopConsumer()

    def group_text(self, event):
        self.send({"type": "websocket.send", "text": event["text"]})


class AsyncMember(AsyncConsumer):
    """A socket of the group."""

    async def websocket_connect(self, event):
        await self.channel_layer.group_add(EVERYBODY, self.channel_name)
        await self.send({"type": "websocket.accept"})

    async def websocket_disconnect(self, event):
        await self.channel_layer.group_discard(EVERYBODY, self.channel_name)
        raise StopConsumer()

    async def group_text(self, event):
        await self.send({"type": "websocket.send", "text": event["text"]})


class SyncSender(SyncConsumer):
    """A socket that sends to the group."""

    def websocket_connect(self, event):
        self.send({"type": "websocket.accept"})

    def websocket_receive(self, event):
        message = {"type": "group.text", "text": event["text"]}
        async_to_sync(self.channel_layer.group_send)(EVERYBODY, message)

    def websocket_disconnect(self, event):
        raise StopConsumer()


class AsyncSender(AsyncConsumer):
    """A socket that sends to the group."""

    async def websocket_connect(self, event):
        await self.send({"type": "websocket.accept"})

    async def websocket_receive(self, event):
        message = {"type": "group.text", "text": event["text"]}
        await self.channel_layer.group_send(EVERYBODY, message)

    async def websocket_disconnect(self, event):
        raise StopConsumer()
