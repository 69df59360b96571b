"""
The ways in which the command runworker runs workers.

In: the command's options. Out: a Supervisor with worker processes, one of those
processes, or a WorkerGroup in this process alone.
"""

import atexit
import contextlib
import logging
import os
import signal
import sys

from django.channels import shutdown
from django.channels.worker import WorkerGroup, workerprocess
from django.conf import settings
from django.core.management.base import CommandError
from django.utils import autoreload

# Seconds beyond all others after which a process counts as standing still.
STILL_SECONDS = 5.0

logger = logging.getLogger("django.channels.worker")


def make_group(layer, options, **extra):
    """Return the WorkerGroup that the options of the command describe."""
    return WorkerGroup(
        layer,
        n_threads=options["threads"],
        only_channels=options["only_channels"],
        exclude_channels=options["exclude_channels"],
        time_limit=options["time_limit"],
        **extra,
    )


def ignore_reloads():
    """
    Have SIGHUP do nothing, on systems that have it, until workers heed it.

    Those have the code of when they start, whatever asked for it before.
    """
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def supervise(layer, options, arguments, on_ready):
    """
    Run worker processes; return whether all consumers could finish.

    ``arguments`` are those that the command was called with, None if it was
    called from code.
    """
    # Not on systems that have no such signals.
    from django.channels.worker.supervisor import Supervisor

    still_seconds = None
    if options["time_limit"] is not None:
        still_seconds = options["time_limit"] + options["stop_timeout"] + STILL_SECONDS
    command = _get_command(options) if arguments is None else _repeat_command()
    supervisor = Supervisor(
        command,
        options["processes"],
        layer,
        options["stop_timeout"],
        still_seconds,
        on_ready,
    )
    return supervisor.run()


def run_process(layer, options):
    """Be one of the supervisor's processes, and end it."""
    process = workerprocess.WorkerProcess()
    group = make_group(
        layer,
        options,
        journal=process.journal,
        outgoing=process.outgoing,
        on_overdue=process.end_overdue,
    )
    code = process.run(group, options["stop_timeout"])
    if code == 0:
        layer.close()
        return
    # Threads that are cut off would hold up the end, and so would their locks.
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def run_alone(layer, options, on_ready):
    """Run workers in this process; return whether all consumers could finish."""
    group = make_group(layer, options)
    group.stop_on_signals()
    group.start()
    on_ready()
    return group.wait(options["stop_timeout"])


def run_with_reloader(get_layer, options, on_ready):
    """Run workers in a process that starts again when a file changes."""

    def run():
        group = make_group(get_layer(), options)
        # Before the reloader has the process start again, and at its end.
        atexit.register(group.stop, options["stop_timeout"])
        group.start()
        on_ready()
        group.wait(options["stop_timeout"])

    is_outer = os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) != "true"
    with shutdown.child_has_time() if is_outer else contextlib.nullcontext():
        autoreload.run_with_reloader(run)


def _repeat_command():
    """Return the command line that started this process."""
    return autoreload.get_child_arguments()


def _get_command(options):
    """Return a command line for what was called from code."""
    if not settings.SETTINGS_MODULE:
        raise CommandError(
            "Worker processes import settings by themselves: name their module in "
            "DJANGO_SETTINGS_MODULE instead of calling settings.configure()."
        )
    command = [sys.executable, "-m", "django", "runworker"]
    command += [f"--settings={settings.SETTINGS_MODULE}"]
    for name in ("layer", "threads", "stop_timeout", "time_limit"):
        if options[name] is not None:
            command.append(f"--{name.replace('_', '-')}={options[name]}")
    for name in ("only_channels", "exclude_channels"):
        for glob in options[name] or ():
            command.append(f"--{name.replace('_', '-')}={glob}")
    return command
