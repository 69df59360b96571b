from django.channels.commands import add_layer_argument, get_spanning_layer
from django.channels.worker import WorkerGroup
from django.core.management.base import BaseCommand, CommandError

# Seconds that running consumers have to finish when the command is stopped.
STOP_SECONDS = 30


class Command(BaseCommand):
    help = "Runs the consumers of a channel layer."

    def add_arguments(self, parser):
        add_layer_argument(parser)
        parser.add_argument(
            "--only-channels",
            action="append",
            metavar="GLOB",
            help="Take only channels that match; can be repeated.",
        )
        parser.add_argument(
            "--exclude-channels",
            action="append",
            metavar="GLOB",
            help="Leave out channels that match; can be repeated.",
        )
        parser.add_argument(
            "--threads",
            type=int,
            default=1,
            help="How many messages are consumed at once (default: 1).",
        )

    def handle(self, *args, **options):
        if options["threads"] < 1:
            raise CommandError(
                f"--threads must be 1 or more, not {options['threads']}."
            )
        layer = get_spanning_layer(options["layer"])
        group = WorkerGroup(
            layer,
            n_threads=options["threads"],
            only_channels=options["only_channels"],
            exclude_channels=options["exclude_channels"],
        )
        channels = layer.router.channels
        if not group.workers[0].apply_channel_filters(channels):
            raise CommandError(
                f"No channel of the routing is left: it has "
                f"{', '.join(sorted(channels))}."
            )
        group.stop_on_signals()
        self.stdout.write(f"Running worker against channel layer {layer}.")
        if not group.run(STOP_SECONDS):
            raise CommandError(f"A consumer did not finish within {STOP_SECONDS} s.")
