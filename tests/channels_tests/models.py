"""Models of the tests: what bindings bind."""

import uuid

from django.db import models


class Label(models.Model):
    name = models.CharField(max_length=20)


class Note(models.Model):
    """Something in a room, which has an owner by name."""

    room = models.CharField(max_length=20)
    owner = models.CharField(max_length=20, blank=True)
    text = models.CharField(max_length=20, blank=True)
    count = models.IntegerField(default=0)
    due = models.DateField(null=True, blank=True)
    label = models.ForeignKey(Label, models.CASCADE, null=True, blank=True)
    labels = models.ManyToManyField(Label, related_name="+")
    secret = models.CharField(max_length=20, blank=True)
    attachment = models.FileField(blank=True)
    changed = models.DateTimeField(auto_now=True)

    def shout(self):
        return self.text.upper()

    @property
    def parent(self):
        return self.label


class Memo(Note):
    """A note with a table of its own."""

    importance = models.IntegerField(default=0)


class Token(models.Model):
    """Something whose key is not given by the database."""

    key = models.UUIDField(primary_key=True, default=uuid.uuid4)
    room = models.CharField(max_length=20)
