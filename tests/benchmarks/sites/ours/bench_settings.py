"""What a new project has, with the limits off that the loads exceed."""

from .settings import *  # noqa: F401, F403

DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
# One socket that waits for each echo sends more than the default of 1,000.
CHANNEL_LIMITS = {"WEBSOCKET_MESSAGES_PER_SECOND": None}
