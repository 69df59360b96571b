from django.channels import asgi
from django.core.asgi import get_asgi_application
from django.test import SimpleTestCase, override_settings

from .connections import HttpClient, WebSocketClient
from .layers import layer_settings
from .utils import TIMEOUT

LIFESPAN_ERROR = "Django can only handle ASGI/HTTP connections, not lifespan."


class ASGIHookTests(SimpleTestCase):
    """What django.core.asgi.get_asgi_application() does with each scope."""

    @override_settings(CHANNEL_LAYERS=layer_settings())
    async def test_websocket(self):
        """With a channel layer, sockets go to consumers."""
        client = WebSocketClient(get_asgi_application(), "/chat")
        accept = await client.connect()
        self.assertEqual(accept["type"], "websocket.accept")
        await client.disconnect()

    async def test_websocket_after_another_layer(self):
        """The threads of a layer end when the settings replace it."""
        applications = []
        for _ in range(2):
            with self.settings(CHANNEL_LAYERS=layer_settings()):
                client = WebSocketClient(get_asgi_application(), "/chat")
                await client.connect()
                await client.disconnect()
                applications.append(asgi._application)
        first, second = applications
        self.assertIsNot(first, second)
        for thread in first._workers.threads:
            thread.join(TIMEOUT)
            self.assertIs(thread.is_alive(), False)
        self.assertEqual(first._lanes._started, [])

    @override_settings(CHANNEL_LAYERS={})
    async def test_websocket_without_layer(self):
        """Without a channel layer, sockets are upstream's error."""
        client = WebSocketClient(get_asgi_application())
        message = "Django can only handle ASGI/HTTP connections, not websocket."
        with self.assertRaisesMessage(ValueError, message):
            await client.ended()

    async def test_other_scope(self):
        """Any other scope is upstream's error, with a channel layer and without."""
        for layers in layer_settings(), {}:
            with self.subTest(layers=layers), self.settings(CHANNEL_LAYERS=layers):
                application = get_asgi_application()
                with self.assertRaisesMessage(ValueError, LIFESPAN_ERROR):
                    await application({"type": "lifespan"}, None, None)

    @override_settings(
        CHANNEL_LAYERS=layer_settings(), ROUTING=None, ROOT_URLCONF="asgi.urls"
    )
    async def test_http(self):
        """Requests stay with upstream's handler."""
        client = HttpClient(get_asgi_application(), headers=[(b"host", b"testserver")])
        status, _, body = await client.request()
        self.assertEqual((status, body), (200, b"Hello World!"))
