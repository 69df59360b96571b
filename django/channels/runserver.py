"""
What runserver does beyond upstream's: it serves sockets too, through Daphne.

In: the calls that the core runserver command makes.
Out: the application of asgi.py, served by daphne_server.py.
"""

import argparse
import contextlib
import math
import os
import socket
from functools import partial
from importlib import metadata

from django.channels import shutdown
from django.channels.checks import check_spans_processes
from django.channels.layers import DEFAULT_CHANNEL_LAYER, channel_layers
from django.channels.limits import get_limits, limit_error
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.core.servers.basehttp import WSGIServer
from django.utils import autoreload
from django.utils.version import get_version_tuple

MINIMUM_DAPHNE = "4.2.2"
INSTALL_DAPHNE = f'python -m pip install "daphne>={MINIMUM_DAPHNE}"'

WORKER_THREADS = 4

# Connections that the kernel accepts while the server is busy.
BACKLOG = 128

# The option and the limit that it stands for.
LIMIT_OPTIONS = {
    "http_timeout": "HTTP_RESPONSE_SECONDS",
    "websocket_handshake_timeout": "WEBSOCKET_HANDSHAKE_SECONDS",
}

# The classes whose get_handler() knows ASGI; any other's returns a WSGI handler.
ASGI_HANDLER_MODULES = {
    "django.core.management.commands.runserver",
    "django.contrib.staticfiles.management.commands.runserver",
}

# What the command line may say.


def seconds(value):
    """Return the number of seconds that an option's text stands for."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(
            f"{value!r} is not a number of seconds above 0."
        )
    return number


OPTIONS = [
    (
        ["--noasgi"],
        "Serve HTTP only, through Django's WSGI server.",
        {"action": "store_false", "dest": "use_asgi"},
    ),
    (
        ["--noworker"],
        "Put every request and socket event onto the channel layer, for processes "
        "started by runworker, and consume nothing here.",
        {"action": "store_false", "dest": "run_worker"},
    ),
    (
        ["--http-timeout", "--http_timeout"],
        "Answer 503 to a request whose response has not begun by then. The default "
        "is HTTP_RESPONSE_SECONDS of CHANNEL_LIMITS.",
        {"type": seconds, "metavar": "SECONDS"},
    ),
    (
        ["--websocket-handshake-timeout", "--websocket_handshake_timeout"],
        "Refuse a socket that no consumer has accepted by then. The default is "
        "WEBSOCKET_HANDSHAKE_SECONDS of CHANNEL_LIMITS.",
        {"type": seconds, "metavar": "SECONDS"},
    ),
]


def add_arguments(command, parser):
    """
    Add the options, unless a subclass brings its own server and options.

    One that is not given is absent, so that whoever calls or replaces the
    command sees upstream's options alone.
    """
    if command.server_cls is not WSGIServer:
        return
    for names, help_text, extra in OPTIONS:
        parser.add_argument(*names, default=argparse.SUPPRESS, help=help_text, **extra)


def check_options(command, options):
    """Raise CommandError for options that cannot be served."""
    for limit, value in _limit_overrides(options).items():
        if error := limit_error(limit, value):
            raise CommandError(error)
    if options.get("run_worker", True) or not _serves_asgi(command, options):
        return
    try:
        layer = channel_layers[DEFAULT_CHANNEL_LAYER]
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error
    for error in check_spans_processes(layer):
        raise CommandError(f"{error.msg} --noworker needs one that does.")


def _limit_overrides(options):
    return {
        limit: options[option]
        for option, limit in LIMIT_OPTIONS.items()
        if options.get(option) is not None
    }


# Which server it is.


def choose_server(command, options):
    """
    Return the options with the choice made, ``asgi_handler``.

    Tell in one line why sockets are not served if nobody asked for that.
    """
    asked_for_wsgi = not options.get("use_asgi", True)
    obstacle = None if asked_for_wsgi else _obstacle(command)
    if obstacle:
        line = f"WebSockets are not served: {obstacle}"
        command.stdout.write(command.style.WARNING(line))
    return {**options, "asgi_handler": _serves_asgi(command, options)}


def _serves_asgi(command, options):
    return options.get("use_asgi", True) and _obstacle(command) is None


def _obstacle(command):
    """Return why only WSGI can be served, None if nothing is in the way."""
    custom = _customized(command)
    if DEFAULT_CHANNEL_LAYER not in settings.CHANNEL_LAYERS:
        # A project that has nothing to do with channels need not hear of them
        # each time it starts a server of its own.
        return "" if custom else 'set CHANNEL_LAYERS["default"] in your settings.'
    if custom:
        return f"{custom} is made for WSGI."
    try:
        version = metadata.version("daphne")
    except metadata.PackageNotFoundError:
        return f"install Daphne ({INSTALL_DAPHNE})."
    if get_version_tuple(version) < get_version_tuple(MINIMUM_DAPHNE):
        return f"Daphne {version} is too old ({INSTALL_DAPHNE})."
    return None


def _customized(command):
    """Return what a subclass replaced that only fits WSGI, None if nothing."""
    owner = type(command)
    if command.server_cls is not WSGIServer:
        return f"{owner.__module__}.{owner.__qualname__}.server_cls"
    if owner.get_handler.__module__ not in ASGI_HANDLER_MODULES:
        return f"{owner.__module__}.{owner.__qualname__}.get_handler()"
    return None


def get_handler(options):
    """Return the ASGI application if choose_server() chose it, else None."""
    if not options.get("asgi_handler"):
        return None
    from django.channels.asgi import get_development_application

    return get_development_application(
        DEFAULT_CHANNEL_LAYER,
        threads=_thread_count(options),
        limits=_limit_overrides(options),
        workers=options.get("run_worker", True),
    )


def get_run(command, options, wsgi_run):
    """Return the function that serves the handler of choose_server()'s choice."""
    if not options["asgi_handler"]:
        return wsgi_run
    return partial(run, command, options)


def _thread_count(options):
    return WORKER_THREADS if options["use_threading"] else 1


# Serving.


def run(command, options, addr, port, handler, ipv6=False, on_bind=None, **kwargs):
    """
    Serve an ASGI handler until the process is told to end.

    Raise OSError if the address cannot be bound, as upstream's run() does.
    """
    from django.channels.daphne_server import DevelopmentServer

    # Static files are served by a handler around the application.
    application = handler if hasattr(handler, "start") else handler.application
    listener = bind(addr, port, ipv6)
    server = DevelopmentServer(
        handler,
        listener,
        limits=get_limits(**_limit_overrides(options)),
        root_path=settings.FORCE_SCRIPT_NAME or "",
        stop_application=application.stop,
    )
    shutdown.register(server)
    with shutdown.orderly():
        application.start()
        command.stdout.write(_layer_line(application.layer, options))
        on_bind(listener.getsockname()[1])
        shutdown.exit_on_sigterm()
        server.serve()


def bind(addr, port, ipv6=False):
    """Return a socket that listens, bound as upstream's server binds its own."""
    listener = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((addr, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OverflowError as error:
        listener.close()
        raise OSError(f"{port} is not a port number: {error}") from error
    except OSError:
        listener.close()
        raise
    return listener


def _layer_line(layer, options):
    if not options.get("run_worker", True):
        return f"Channel layer {layer}, no worker threads: start manage.py runworker"
    threads = _thread_count(options)
    noun = "worker thread" if threads == 1 else "worker threads"
    return f"Channel layer {layer}, {threads} {noun}"


def run_with_reloader(command, options):
    """
    Run the command's inner_run() under the autoreloader.

    However the serving process ends, its sockets are closed first.
    """
    if not _serves_asgi(command, options):
        context = contextlib.nullcontext()
    elif os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true":
        context = shutdown.orderly()
    else:
        context = shutdown.child_has_time()
    with context:
        autoreload.run_with_reloader(command.inner_run, **options)
