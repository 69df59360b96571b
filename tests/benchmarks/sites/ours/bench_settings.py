"""What a new project has, with the limits off that the loads exceed."""

import os

from .settings import *  # noqa: F401, F403
from .settings import CHANNEL_LAYERS

DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
# One socket that waits for each echo sends more than the default of 1,000.
CHANNEL_LIMITS = {"WEBSOCKET_MESSAGES_PER_SECOND": None}

# The bus: servers and workers are processes of their own.
if "BENCH_REDIS" in os.environ:
    CHANNEL_LAYERS["default"].update(
        BACKEND="django.channels.backends.redis.RedisChannelLayer",
        CONFIG={
            "hosts": [os.environ["BENCH_REDIS"]],
            "prefix": os.environ["BENCH_PREFIX"],
        },
    )
