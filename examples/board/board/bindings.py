from django.channels.binding.websockets import WebsocketBinding
from django.channels.generic.websockets import WebsocketMultiplexer

from .models import Task

# The group of all open pages.
GROUP = "tasks"


class TaskBinding(WebsocketBinding):
    """Shows tasks to everybody, and lets users change them."""

    model = Task
    stream = "tasks"
    fields = ["title", "done"]

    @classmethod
    def group_names(cls, instance):
        """Return the group of all pages: everybody sees every task."""
        return [GROUP]

    def has_permission(self, user, action, pk):
        """Return whether a user may change tasks: any user, and any task."""
        return user.is_authenticated

    def reject(self, error):
        """Tell the page what is wrong, and have it show the task as it is."""
        super().reject(error)
        reply = WebsocketMultiplexer.encode("errors", {"error": str(error)})
        self.message.reply_channel.send(reply)
