import json
import logging

from photos.models import WIDTHS, Photo

from django.channels.background import listen
from django.core.management.base import BaseCommand

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Makes thumbnails for the pages that ask for them."

    def handle(self, *args, **options):
        self.stdout.write("Waiting for photos.")
        for message in listen("thumbnails"):
            try:
                self.answer(message)
            except Exception:
                # A photo that cannot be read, a page that is gone: the next one
                # is another matter, and who still wants this one asks again.
                logger.exception("No thumbnails for photo %s.", message.get("photo"))
        self.stdout.write("Stopped.")

    def answer(self, message):
        """Send one thumbnail after the other, each as soon as it is there."""
        photo = Photo.objects.get(pk=message["photo"])
        for number, width in enumerate(WIDTHS, 1):
            thumbnail = photo.get_thumbnail(width)
            progress = {
                "width": width,
                "url": thumbnail.image.url,
                "done": number,
                "all": len(WIDTHS),
            }
            message.reply_channel.send({"text": json.dumps(progress)})
            self.stdout.write(f"Photo {photo.pk}: {number} of {len(WIDTHS)}.")
