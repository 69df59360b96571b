import os
import threading

from django.channels.commands import add_layer_argument, get_spanning_layer
from django.channels.worker import Worker, runworker, workerprocess
from django.channels.worker.notifying import notify_ready
from django.core.management.base import BaseCommand, CommandError

# Seconds that running consumers have to finish when the command is stopped.
STOP_SECONDS = 30.0

OPTIONS = [
    (
        "--only-channels",
        "Take only channels that match; can be repeated.",
        {"action": "append", "metavar": "GLOB"},
    ),
    (
        "--exclude-channels",
        "Leave out channels that match; can be repeated.",
        {"action": "append", "metavar": "GLOB"},
    ),
    (
        "--threads",
        "How many consumers run at once in a process, coroutines apart (default: 1).",
        {"type": int, "default": 1},
    ),
    (
        "--processes",
        "How many processes run consumers (default: 1).",
        {"type": int, "default": 1},
    ),
    (
        "--stop-timeout",
        "How long running consumers may go on when the command is stopped (default: "
        f"{STOP_SECONDS:.0f}).",
        {"type": float, "default": STOP_SECONDS, "metavar": "SECONDS"},
    ),
    (
        "--time-limit",
        "How long a consumer may run before its process is replaced (default: no "
        "limit).",
        {"type": float, "metavar": "SECONDS"},
    ),
    (
        "--autoreload",
        "Start again when a file of the project changes: one process, for "
        "development.",
        {"action": "store_true"},
    ),
]


class Command(BaseCommand):
    help = "Runs the consumers of a channel layer."
    # The arguments of the command line, None if it was called from code.
    arguments = None

    def add_arguments(self, parser):
        add_layer_argument(parser)
        for name, help_text, extra in OPTIONS:
            parser.add_argument(name, help=help_text, **extra)

    def run_from_argv(self, argv):
        self.arguments = argv[2:]
        super().run_from_argv(argv)

    def execute(self, *args, **options):
        if self.arguments is not None and not options["autoreload"]:
            runworker.ignore_reloads()
        if workerprocess.is_supervised():
            # The supervisor has done what can be done before.
            options["skip_checks"] = True
        return super().execute(*args, **options)

    def handle(self, *args, **options):
        self.check_numbers(options)
        self.options = options
        if options["autoreload"]:
            runworker.run_with_reloader(self.get_layer, options, self.tell_ready)
            return
        layer = self.get_layer()
        if workerprocess.is_supervised():
            runworker.run_process(layer, options)
        elif os.name == "posix":
            done = runworker.supervise(
                layer, options, self.arguments, on_ready=self.tell_ready
            )
            self.check_end(done)
        else:
            self.check_end(runworker.run_alone(layer, options, self.tell_ready))

    def check_numbers(self, options):
        for name in ("threads", "processes"):
            if options[name] < 1:
                raise CommandError(f"--{name} must be 1 or more, not {options[name]}.")
        for name in ("stop_timeout", "time_limit"):
            value = options[name]
            if value is not None and not 0 < value <= threading.TIMEOUT_MAX:
                raise CommandError(
                    f"--{name.replace('_', '-')} must be a number of seconds above 0, "
                    f"not {value}."
                )
        if options["processes"] > 1 and options["autoreload"]:
            raise CommandError(
                f"--autoreload runs one process: --processes must be 1, not "
                f"{options['processes']}."
            )
        if options["processes"] > 1 and os.name != "posix":
            raise CommandError(
                f"--processes must be 1 on this system, not {options['processes']}."
            )

    def get_layer(self):
        """Return the layer, if there is something to do on it."""
        layer = get_spanning_layer(self.options["layer"])
        filters = {
            name: self.options[name] for name in ("only_channels", "exclude_channels")
        }
        if not Worker(layer, **filters).get_channels():
            given = " ".join(
                f"--{name.replace('_', '-')}={glob}"
                for name, globs in filters.items()
                for glob in globs or ()
            )
            raise CommandError(
                f"No channel of the routing is left by {given}: it has "
                f"{', '.join(sorted(layer.router.channels))}."
            )
        return layer

    def tell_ready(self):
        layer = get_spanning_layer(self.options["layer"])
        self.stdout.write(f"Running worker against channel layer {layer}.")
        notify_ready()

    def check_end(self, done):
        if not done:
            raise CommandError(
                f"A consumer did not finish within {self.options['stop_timeout']:g} s."
            )
