"""What a new project has, with Channels 4 and its in-memory layer."""

import os

from .settings import *  # noqa: F401, F403

DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

# Across processes: as if there were more than one server.
if "BENCH_REDIS" in os.environ:
    CHANNEL_LAYERS["default"] = {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [os.environ["BENCH_REDIS"]],
            "prefix": os.environ["BENCH_PREFIX"],
        },
    }
