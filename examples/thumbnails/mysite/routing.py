from django.channels import route

PHOTO = r"^/photos/(?P<pk>[0-9]{1,18})/$"

channel_routing = [
    route("websocket.connect", "photos.consumers.ws_connect", path=PHOTO),
    route("websocket.receive", "photos.consumers.ws_receive", path=PHOTO),
]
