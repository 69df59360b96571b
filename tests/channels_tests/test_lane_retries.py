"""ConsumeLater where the server's process runs the consumers."""

from django.channels import route
from django.channels.asgi import InProcessApplication
from django.channels.backends.memory import MemoryChannelLayer
from django.channels.exceptions import ConsumeLater
from django.channels.signals import consumer_finished
from django.channels.worker import Worker, runs
from django.test import SimpleTestCase

from .connections import WebSocketClient
from .layers import SpanningLayer, default_layer
from .utils import TIMEOUT, patch_for


class Script:
    """Consumers that are tried again as often as ``later`` says."""

    def __init__(self, later):
        self.later = later
        self.tries = []

    def take(self, message):
        """Note the try of a message; raise ConsumeLater while there are any left."""
        text = message.get("text")
        self.tries.append(text)
        message.reply_channel.send({"text": f"try {text}"})
        if self.later:
            self.later -= 1
            raise ConsumeLater

    def connect(self, message):
        message.reply_channel.send({"accept": True})

    def receive(self, message):
        self.take(message)

    async def areceive(self, message):
        self.take(message)


class LaneRetryTests(SimpleTestCase):
    """
    The message comes again where it was: nobody else may read the layer, and what
    the socket sent after it waits.
    """

    layer_class = SpanningLayer

    async def serve(self, later, receive="receive"):
        script = Script(later)
        routing = [
            route("websocket.connect", script.connect),
            route("websocket.receive", getattr(script, receive)),
        ]
        patch_for(self, runs, "RETRY_DELAY_SECONDS", 0)
        layer = default_layer(routing, layer_class=self.layer_class)
        self.enterContext(layer)
        application = InProcessApplication()
        self.addCleanup(application.stop, TIMEOUT)
        client = WebSocketClient(application)
        await client.connect()
        return script, client

    async def say(self, client, *texts):
        for text in texts:
            await client.put("websocket.receive", text=text)

    async def assertHears(self, client, *texts):
        for text in texts:
            event = {"type": "websocket.send", "text": f"try {text}"}
            self.assertEqual(await client.get(), event)
        self.assertTrue(await client.receive_nothing())

    async def test_order_holds(self):
        for receive in "receive", "areceive":
            with self.subTest(receive=receive):
                script, client = await self.serve(3, receive)
                await self.say(client, "1", "2")
                await self.assertHears(client, "1", "2")
                self.assertEqual(script.tries, ["1", "1", "1", "1", "2"])
                await client.disconnect()

    async def test_a_message_is_tried_so_often_and_no_more(self):
        for receive in "receive", "areceive":
            with self.subTest(receive=receive):
                script, client = await self.serve(11, receive)
                with self.assertLogs("django.channels.worker", "WARNING") as logs:
                    await self.say(client, "1", "2")
                    await self.assertHears(client, "2")
                self.assertIn("Exceeded number of retries", logs.output[0])
                self.assertEqual(script.tries, 11 * ["1"] + ["2"])
                await client.disconnect()

    async def test_the_signals_are_those_of_a_worker(self):
        def note(**kwargs):
            noted.append(kwargs["comes_again"])

        noted = []
        consumer_finished.connect(note, sender=Worker)
        self.addCleanup(consumer_finished.disconnect, note, sender=Worker)
        script, client = await self.serve(2)
        await self.say(client, "1")
        await self.assertHears(client, "1")
        self.assertEqual(noted[1:3], [True, True])
        await client.disconnect()


class MemoryLaneRetryTests(LaneRetryTests):
    """So it is on a layer that the process reads itself."""

    layer_class = MemoryChannelLayer
