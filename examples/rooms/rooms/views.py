from django.contrib.auth.mixins import LoginRequiredMixin
from django.views.generic import TemplateView


class RoomsView(LoginRequiredMixin, TemplateView):
    """The only page; its rooms come through its socket."""

    template_name = "rooms/rooms.html"
