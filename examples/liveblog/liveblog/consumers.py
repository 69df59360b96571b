import json

from django.channels import Group
from django.channels.exceptions import DenyConnection

from .models import Liveblog

# How many posts a page shows when it opens.
LATEST = 100


def connect_page(message, slug):
    """Send a page the latest posts, and from then on every change."""
    try:
        liveblog = Liveblog.objects.get(slug=slug)
    except Liveblog.DoesNotExist as error:
        raise DenyConnection(f"There is no liveblog {slug!r}.") from error
    message.reply_channel.send({"accept": True})
    # Before the posts are read: what is committed in between comes twice, not never.
    Group(liveblog.group_name).add(message.reply_channel)
    posts = [post.as_dict() for post in liveblog.posts.all()[:LATEST]]
    message.reply_channel.send({"text": json.dumps({"posts": posts})})
