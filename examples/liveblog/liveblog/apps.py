from django.apps import AppConfig


class LiveblogConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "liveblog"

    def ready(self):
        """Connect the receivers of signals."""
        from . import signals  # noqa: F401
