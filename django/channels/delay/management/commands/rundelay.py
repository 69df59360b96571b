"""The command rundelay."""

from django.channels.commands import add_layer_argument, get_spanning_layer
from django.channels.delay.models import DelayedMessage
from django.channels.delay.worker import LOOK_SECONDS, Worker
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

# A day: the longest --sleep.
MAX_SLEEP_SECONDS = 86400


class Command(BaseCommand):
    """Run a delay.worker.Worker until a signal ends it."""

    help = "Keeps delayed messages of a channel layer, and sends them when due."

    def add_arguments(self, parser):
        add_layer_argument(parser)
        parser.add_argument(
            "--sleep",
            type=float,
            default=LOOK_SECONDS,
            metavar="SECONDS",
            help=(
                "How often to look for messages that other processes left in the "
                f"database (default: {LOOK_SECONDS})."
            ),
        )

    def handle(self, *args, **options):
        layer = get_spanning_layer(options["layer"])
        if not 0 < options["sleep"] <= MAX_SLEEP_SECONDS:
            raise CommandError(
                f"--sleep must be a number of seconds above 0 and at most "
                f"{MAX_SLEEP_SECONDS}, not {options['sleep']}."
            )
        worker = Worker(layer, database_sleep_duration=options["sleep"])
        try:
            DelayedMessage.objects.using(worker.using).exists()
        except DatabaseError as error:
            raise CommandError(
                f"The table of delayed messages cannot be read; has migrate been run? "
                f"{error}"
            ) from error
        self.stdout.write(f"Running delay against channel layer {layer}.")
        worker.run()
