"""The table of delayed messages."""

import django.channels.delay.models
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """Make the table."""

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="DelayedMessage",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=django.channels.delay.models.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "layer",
                    models.CharField(
                        default="default", max_length=100, verbose_name="layer"
                    ),
                ),
                (
                    "due_date",
                    models.DateTimeField(
                        default=django.utils.timezone.now, verbose_name="due date"
                    ),
                ),
                (
                    "channel_name",
                    models.CharField(max_length=512, verbose_name="channel name"),
                ),
                ("content", models.TextField(verbose_name="content")),
                (
                    "tries",
                    models.PositiveSmallIntegerField(default=0, verbose_name="tries"),
                ),
            ],
            options={
                "verbose_name": "delayed message",
                "verbose_name_plural": "delayed messages",
                "indexes": [
                    models.Index(
                        fields=["layer", "due_date"], name="channels_delay_due"
                    )
                ],
            },
        ),
    ]
