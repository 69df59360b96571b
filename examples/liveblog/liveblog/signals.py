"""Tell open pages of posts, whoever writes them: the site, the admin, a script."""

import json

from django.channels import Group
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from .models import Post


@receiver(post_save, sender=Post)
def tell_saved(instance, raw=False, **kwargs):
    """Have pages show a post that is new or changed."""
    # Fixtures come before what they refer to.
    if not raw:
        broadcast(instance, {"saved": instance.as_dict()})


@receiver(post_delete, sender=Post)
def tell_deleted(instance, **kwargs):
    """Have pages take a post away."""
    broadcast(instance, {"deleted": instance.pk})


def broadcast(post, data):
    """Send to the pages of a post's liveblog, if the change is committed."""
    group = Group(post.liveblog.group_name)
    group.send({"text": json.dumps(data)}, on_commit=True)
