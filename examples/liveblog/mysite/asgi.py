"""
ASGI config for mysite project.

It exposes the ASGI callable as a module-level variable named ``application``.
It serves HTTP and WebSocket, and runs the consumers in the server's process.

The ASGI callable ``channel_layer`` puts every request and socket event onto the
channel layer instead, for processes started by ``manage.py runworker``.

For more information on this file, see
https://docs.djangoproject.com/en/5.2/howto/deployment/asgi/
"""

import os

from django.channels.asgi import get_application, get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")

application = get_application()

channel_layer = get_channel_layer()
