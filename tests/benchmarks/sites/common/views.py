"""The view that both sides serve."""

from django.http import HttpResponse


def hello(request):
    """Answer without a query or a template, so that Django's own cost shows."""
    return HttpResponse("Hello, world.", content_type="text/plain")
