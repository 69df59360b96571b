"""
What is done with messages of sockets that no route of the project takes.

In: messages, by the default routes of routing.py. Out: an answer, or none.
"""

from django.channels.exceptions import DenyConnection


def null_consumer(message, **kwargs):
    """Do nothing."""


def connect_consumer(message, **kwargs):
    """Accept a socket."""
    message.reply_channel.send({"accept": True})


def deny_consumer(message, **kwargs):
    """Reject a socket whose path no route of the project takes."""
    raise DenyConnection(f"No route takes websocket.connect for {message['path']!r}.")
