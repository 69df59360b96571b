from django.db import models


class Post(models.Model):
    room = models.SlugField()
    name = models.CharField(max_length=30)
    text = models.CharField(max_length=1000)
    sent = models.DateTimeField(auto_now_add=True)

    def __str__(self):
        return f"{self.name} in {self.room}: {self.text}"

    def as_dict(self):
        """Return what a page shows of the post."""
        return {
            "id": self.pk,
            "name": self.name,
            "text": self.text,
            "sent": self.sent.isoformat(),
        }
