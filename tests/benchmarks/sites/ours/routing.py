"""Which consumer gets which message."""

from django.channels import route

from . import consumers

channel_routing = [
    route("websocket.connect", consumers.accept, path=r"^/echo/$"),
    route("websocket.receive", consumers.echo, path=r"^/echo/$"),
    route("websocket.connect", consumers.join, path=r"^/group/member/$"),
    route("websocket.disconnect", consumers.leave, path=r"^/group/member/$"),
    route("websocket.connect", consumers.accept, path=r"^/group/sender/$"),
    route("websocket.receive", consumers.tell, path=r"^/group/sender/$"),
]
