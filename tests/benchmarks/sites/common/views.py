"""The views that both sides serve."""

import time

from django.http import HttpResponse

# How long a view waits that waits, as if for a database.
WAIT_SECONDS = 0.005


def hello(request):
    """Answer without a query or a template, so that Django's own cost shows."""
    return HttpResponse("Hello, world.", content_type="text/plain")


def wait(request):
    """Answer after a wait."""
    time.sleep(WAIT_SECONDS)
    return hello(request)
