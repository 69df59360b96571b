"""The channel routing of the project."""

from django.channels import include

channel_routing = [
    include("liveblog.routing.channel_routing"),
]
