from django.channels import route

ROOM = r"^/chat/(?P<room>[-a-zA-Z0-9_]{1,50})/$"

channel_routing = [
    route("websocket.connect", "chat.consumers.ws_connect", path=ROOM),
    route("websocket.receive", "chat.consumers.ws_receive", path=ROOM),
    route("websocket.disconnect", "chat.consumers.ws_disconnect", path=ROOM),
]
