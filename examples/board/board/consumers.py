from django.channels.generic.websockets import WebsocketDemultiplexer

from .bindings import GROUP, TaskBinding
from .models import Task


class BoardConsumer(WebsocketDemultiplexer):
    """The socket of a page: changes of tasks, in both directions."""

    http_user = True
    consumers = {TaskBinding.stream: TaskBinding.consumer}
    groups = [GROUP]

    def raw_connect(self, message, **kwargs):
        """Let a page in, and show it the tasks that there are."""
        super().raw_connect(message, **kwargs)
        # Read after the group was joined: what changes meanwhile comes as well.
        binding = TaskBinding()
        tasks = [binding.serialize(task, "create") for task in Task.objects.all()]
        multiplexer = self.multiplexer_class("board", message.reply_channel)
        multiplexer.send({"tasks": tasks})
