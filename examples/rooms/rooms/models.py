from django.channels import Group
from django.db import models


class RoomQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Return the rooms that a user may enter."""
        return self if user.is_staff else self.filter(staff_only=False)


class Room(models.Model):
    """Where users talk. What they say is not kept."""

    title = models.CharField(max_length=100, unique=True)
    staff_only = models.BooleanField(default=False)

    objects = RoomQuerySet.as_manager()

    class Meta:
        ordering = ["title"]

    def __str__(self):
        return self.title

    @property
    def group(self):
        """The sockets of those who are in the room."""
        return Group(f"room-{self.pk}")
