from django.apps import AppConfig


class BoardConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "board"

    def ready(self):
        """Have changes sent, whatever makes them."""
        from . import bindings  # noqa: F401
