"""The channel routing of the project."""

from rooms.consumers import RoomsConsumer

from django.channels import include, route_class

# Each part of the project could have its sockets below a path of its own.
rooms_routing = [
    route_class(RoomsConsumer, path=r"^/stream/$"),
]

channel_routing = [
    include(rooms_routing, path=r"^/rooms"),
]
