from django.db import models
from django.urls import reverse


class Liveblog(models.Model):
    """Something that is reported on while it happens."""

    title = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        """Return the path of the page that shows it."""
        return reverse("liveblog", kwargs={"slug": self.slug})

    @property
    def group_name(self):
        """The group of the pages that show it."""
        return f"liveblog-{self.pk}"


class Post(models.Model):
    """One report."""

    liveblog = models.ForeignKey(Liveblog, models.CASCADE, related_name="posts")
    text = models.TextField(max_length=2000)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self):
        return self.text[:50]

    def as_dict(self):
        """Return what a page shows."""
        return {
            "id": self.pk,
            "text": self.text,
            "created": self.created.isoformat(),
        }
