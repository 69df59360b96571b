"""Bindings of the models of the tests, and members of their groups."""

import json
from contextlib import contextmanager

from django.channels import Group
from django.channels.binding.websockets import WebsocketBinding

from .layers import default_layer
from .models import Note, Token


class NoteBinding(WebsocketBinding):
    model = Note
    stream = "notes"
    fields = ["room", "text", "count"]

    @classmethod
    def group_names(cls, instance):
        return [f"room-{name}" for name in instance.room.split()]

    def has_permission(self, user, action, pk):
        return True


class TokenBinding(NoteBinding):
    model = Token
    stream = "tokens"
    fields = ["__all__"]


# Each test registers what it needs.
for binding in NoteBinding, TokenBinding:
    binding.unregister()


class BindingTests:
    """For a test case with a database: a channel in the group of each room."""

    bindings = [NoteBinding]

    def setUp(self):
        super().setUp()
        context = default_layer()
        self.layer = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.members = {}
        for room in "abc":
            self.members[room] = self.layer.new_channel("member?")
            Group(f"room-{room}").add(self.members[room])
        for binding in self.bindings:
            binding.register()
            self.addCleanup(binding.unregister)

    def heard(self, room):
        """Return the frames that a room got since the last call."""
        pairs = self.layer.receive_batch([self.members[room]], 100)
        return [json.loads(content["text"]) for _, content in pairs]

    def actions(self, room):
        """Return [(action, text), …] of those frames."""
        payloads = [frame["payload"] for frame in self.heard(room)]
        return [(each["action"], each["data"].get("text")) for each in payloads]

    @contextmanager
    def committing(self):
        """Run what waits for the commit when the block ends."""
        with self.captureOnCommitCallbacks(execute=True):
            yield
