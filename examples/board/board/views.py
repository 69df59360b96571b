from django.views.generic import TemplateView


class BoardView(TemplateView):
    """The only page; its tasks come through its socket."""

    template_name = "board/board.html"
