from django.db import models


class Task(models.Model):
    """Something to do."""

    title = models.CharField(max_length=100)
    done = models.BooleanField(default=False)
    # Nobody's business but the admin's.
    notes = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self):
        return self.title
