"""The ASGI application of Channels 4."""

from channels.routing import ProtocolTypeRouter, URLRouter

from django.core.asgi import get_asgi_application
from django.urls import path

http = get_asgi_application()

from . import consumers  # noqa: E402 isort:skip

sockets = [
    path("sync/echo/", consumers.SyncEcho.as_asgi()),
    path("async/echo/", consumers.AsyncEcho.as_asgi()),
    path("sync/group/member/", consumers.SyncMember.as_asgi()),
    path("async/group/member/", consumers.AsyncMember.as_asgi()),
    path("sync/group/sender/", consumers.SyncSender.as_asgi()),
    path("async/group/sender/", consumers.AsyncSender.as_asgi()),
]
application = ProtocolTypeRouter({"http": http, "websocket": URLRouter(sockets)})
