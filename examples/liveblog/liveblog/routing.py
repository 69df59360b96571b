from django.channels import route

from .consumers import connect_page

# A socket that ends leaves its groups by itself, and what pages send is ignored.
channel_routing = [
    route("websocket.connect", connect_page, path=r"^/(?P<slug>[-\w]+)/stream/$"),
]
