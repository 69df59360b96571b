from io import BytesIO

from PIL import Image, ImageOps

from django.core.files.base import ContentFile
from django.db import models

# The widths of the thumbnails of a photo, in pixels.
WIDTHS = [80, 160, 320]

# The height is at most this many times the width.
TALLEST = 4


class Photo(models.Model):
    image = models.ImageField(upload_to="photos")
    uploaded = models.DateTimeField(auto_now_add=True)

    def get_thumbnail(self, width):
        """Return the thumbnail of a width, made now unless there is one."""
        thumbnail = self.thumbnails.filter(width=width).first()
        if thumbnail is None:
            content = ContentFile(self.scale(width), name=f"{self.pk}-{width}.jpg")
            thumbnail = self.thumbnails.create(width=width, image=content)
        return thumbnail

    def scale(self, width):
        """Return the bytes of a smaller picture."""
        with self.image.open() as file, Image.open(file) as image:
            # Reads no more of a large JPEG than it needs.
            image.draft("RGB", (width, width * TALLEST))
            image = ImageOps.exif_transpose(image).convert("RGB")
            image.thumbnail((width, width * TALLEST))
        written = BytesIO()
        image.save(written, "JPEG", quality=85)
        return written.getvalue()


class Thumbnail(models.Model):
    photo = models.ForeignKey(Photo, models.CASCADE, related_name="thumbnails")
    width = models.PositiveIntegerField()
    image = models.ImageField(upload_to="thumbnails")
