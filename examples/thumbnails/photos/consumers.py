from django.channels import Channel


def ws_connect(message, pk):
    """Accept the socket of a photo's page, and ask for its thumbnails."""
    message.reply_channel.send({"accept": True})
    ask(message, pk)


def ws_receive(message, pk):
    """Ask once more: the page has waited, and heard nothing."""
    ask(message, pk)


def ask(message, pk):
    """Leave the work to whoever listens, who answers to the page itself."""
    Channel("thumbnails").send(
        {"photo": int(pk), "reply_channel": message.reply_channel.name}
    )
