"""Synchronous consumers: an echo, and a group with a sender."""

from django.channels import Group

EVERYBODY = "everybody"


def accept(message):
    """Open a socket."""
    message.reply_channel.send({"accept": True})


def echo(message):
    """Answer with the same text."""
    message.reply_channel.send({"text": message["text"]})


def join(message):
    """Open a socket and add it to the group."""
    Group(EVERYBODY).add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def leave(message):
    """Take a socket out of the group."""
    Group(EVERYBODY).discard(message.reply_channel)


def tell(message):
    """Send a text to the group."""
    Group(EVERYBODY).send({"text": message["text"]})
