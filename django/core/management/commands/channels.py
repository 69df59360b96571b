import json
import shutil
import threading

from django.channels.exceptions import ChannelsError, LayerUnavailable
from django.channels.layers import DEFAULT_CHANNEL_LAYER, channel_layers
from django.channels.monitor import MIN_WIDTH, format_snapshot, take_snapshot
from django.core.management.base import BaseCommand, CommandError

# Seconds between two looks, if --watch does not say.
WATCH_SECONDS = 2
# What clears a terminal and goes to its first line.
CLEAR = "\x1b[2J\x1b[H"


class Command(BaseCommand):
    help = "Shows the channels and groups of a channel layer, and who waits for what."
    # Nothing is shown that a check of the project would make wrong.
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument(
            "patterns",
            nargs="*",
            metavar="PATTERN",
            help="Show only names that match one of these globs.",
        )
        parser.add_argument(
            "--layer",
            default=DEFAULT_CHANNEL_LAYER,
            help="Alias of the channel layer in CHANNEL_LAYERS (default: default).",
        )
        parser.add_argument(
            "--json", action="store_true", help="Write JSON, not a table."
        )
        parser.add_argument(
            "--watch",
            nargs="?",
            type=float,
            const=WATCH_SECONDS,
            metavar="SECONDS",
            help="Look again every so many seconds, until Ctrl-C (default: 2).",
        )

    def handle(self, *args, **options):
        seconds = options["watch"]
        if seconds is not None and not 0 < seconds <= threading.TIMEOUT_MAX:
            raise CommandError(
                f"--watch must be a number of seconds above 0, not {seconds}."
            )
        try:
            self.layer = self.get_layer(options["layer"])
            if seconds is None:
                self.show(**options)
            else:
                self.show_again_and_again(seconds, **options)
        except LayerUnavailable as error:
            raise CommandError(self.describe_outage(error)) from error
        except (ChannelsError, NotImplementedError) as error:
            raise CommandError(str(error)) from error

    def describe_outage(self, error):
        return f"Channel layer {self.layer} cannot be reached: {error}"

    def get_layer(self, alias):
        if alias not in channel_layers:
            known = ", ".join(channel_layers) or "none at all"
            raise CommandError(
                f"There is no channel layer {alias!r}: CHANNEL_LAYERS has {known}."
            )
        layer = channel_layers[alias]
        if "statistics" not in layer.extensions:
            raise CommandError(f"Channel layer {layer} counts nothing.")
        if layer.local_only():
            self.stderr.write(
                self.style.WARNING(
                    f"Channel layer {layer} is apart in each process. This is what "
                    "the process of this command has; that of a server has its own."
                )
            )
        return layer

    def show_again_and_again(self, seconds, **options):
        pause = threading.Event()
        try:
            while True:
                try:
                    self.show(**options)
                except LayerUnavailable as error:
                    self.stderr.write(self.style.ERROR(self.describe_outage(error)))
                pause.wait(seconds)
        except KeyboardInterrupt:
            # This is how one leaves.
            pass

    def show(self, *, patterns, watch, verbosity, **options):
        snapshot = take_snapshot(self.layer, patterns)
        if options["json"]:
            # One line each if there are several.
            indent = 2 if watch is None else None
            self.stdout.write(json.dumps(snapshot, indent=indent, sort_keys=True))
            self.stdout.flush()
            return
        lines = [f"Channel layer {self.layer}"]
        if verbosity > 1:
            lines += self.layer.describe()
        lines.append("")
        width, height = MIN_WIDTH, None
        if self.stdout.isatty():
            width, rows = shutil.get_terminal_size((MIN_WIDTH, 24))
            if watch is not None:
                # The line of the cursor is one, too.
                height = rows - len(lines) - 1
        lines += format_snapshot(snapshot, width, height)
        if height is not None:
            lines[0] = CLEAR + lines[0]
        elif watch is not None:
            lines.append("")
        self.stdout.write("\n".join(lines))
        self.stdout.flush()
