"""What a new project has, with Channels 4 and its in-memory layer."""

from .settings import *  # noqa: F401, F403

DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
