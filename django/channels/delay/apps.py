"""The app's configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DelayConfig(AppConfig):
    """The app django.channels.delay."""

    name = "django.channels.delay"
    label = "channels_delay"
    verbose_name = _("Delayed messages")
