import errno
import socket
from importlib import metadata
from io import StringIO
from unittest import mock, skipUnless

from django.channels import runserver
from django.channels.asgi import InProcessApplication
from django.contrib.staticfiles.handlers import (
    ASGIStaticFilesHandler,
    StaticFilesHandler,
)
from django.contrib.staticfiles.management.commands.runserver import (
    Command as StaticCommand,
)
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import BaseCommand, CommandError, call_command
from django.core.management.commands.runserver import Command
from django.core.servers.basehttp import WSGIServer
from django.test import SimpleTestCase, override_settings

from .layers import SpanningLayer, layer_settings

SPANNING_LAYER = f"{SpanningLayer.__module__}.{SpanningLayer.__qualname__}"


class SecureServer(WSGIServer):
    pass


class ServerCommand(Command):
    server_cls = SecureServer


class HandlerCommand(Command):
    def get_handler(self, *args, **options):
        return super().get_handler(*args, **options)


class RunningCommand(Command):
    def inner_run(self, *args, **options):
        return super().inner_run(*args, **options)


def get_options(command, *args):
    """Return what a command line stands for."""
    parser = command.create_parser("manage.py", "runserver")
    return vars(parser.parse_args(args))


class RunserverTestCase(SimpleTestCase):
    def setUp(self):
        self.output = StringIO()

    def make(self, command_class):
        return command_class(stdout=self.output, no_color=True)

    def choose(self, command_class, *args):
        """Return the command, and its options once the server is chosen."""
        command = self.make(command_class)
        return command, runserver.choose_server(command, get_options(command, *args))

    def check(self, *args):
        command = self.make(Command)
        runserver.check_options(command, get_options(command, *args))


@override_settings(CHANNEL_LAYERS=layer_settings())
class OptionTests(RunserverTestCase):
    def test_timeouts_override_limits(self):
        """Both spellings of a timeout override the limit that it stands for."""
        for dash in "-", "_":
            with self.subTest(dash=dash):
                command, options = self.choose(
                    Command,
                    f"--http{dash}timeout=7",
                    f"--websocket{dash}handshake{dash}timeout=0.5",
                )
                with mock.patch(
                    "django.channels.asgi.get_development_application"
                ) as get_application:
                    runserver.get_handler(options)
                limits = get_application.call_args.kwargs["limits"]
                self.assertEqual(limits["HTTP_RESPONSE_SECONDS"], 7)
                self.assertEqual(limits["WEBSOCKET_HANDSHAKE_SECONDS"], 0.5)

    def test_absent_options(self):
        """Without our options, the command's options are upstream's."""
        upstreams = {"addrport", "use_ipv6", "use_threading", "use_reloader"}
        common = set(get_options(BaseCommand()))
        self.assertEqual(set(get_options(Command())) - common, upstreams)

    def test_bad_timeouts(self):
        """A timeout that is no number of seconds above 0 is refused."""
        for value in "0", "-1", "nan", "inf", "soon", "":
            message = f"{value!r} is not a number of seconds above 0."
            for option in "--http-timeout", "--websocket-handshake-timeout":
                with self.subTest(option=option, value=value):
                    with self.assertRaisesMessage(CommandError, message):
                        call_command("runserver", f"{option}={value}")

    def test_bad_timeout_from_code(self):
        """A bad timeout that no parser has seen is refused as well."""
        message = (
            "CHANNEL_LIMITS['HTTP_RESPONSE_SECONDS'] must be a number above 0, or "
            "None for no limit, not 'soon'."
        )
        with self.assertRaisesMessage(CommandError, message):
            call_command("runserver", http_timeout="soon")

    def test_own_server_brings_own_options(self):
        """A subclass with a server of its own may define the same options."""
        command = ServerCommand()
        parser = command.create_parser("manage.py", "runserver")
        parser.add_argument("--noasgi", action="store_true")
        self.assertIs(vars(parser.parse_args(["--noasgi"]))["noasgi"], True)

    def test_noworker_refused(self):
        """--noworker is refused if no worker could read the layer."""
        message = (
            "Channel layer default (django.channels.backends.memory."
            "MemoryChannelLayer) does not span processes: a worker in another process "
            "receives nothing from it. --noworker needs one that does."
        )
        with self.assertRaisesMessage(CommandError, message):
            call_command("runserver", "--noworker")

    def test_noworker_not_refused(self):
        """--noworker is fine with other layers, and means nothing to WSGI."""
        self.check("--noworker", "--noasgi")
        with self.settings(CHANNEL_LAYERS=layer_settings(backend=SPANNING_LAYER)):
            self.check("--noworker")

    def test_noworker_with_broken_layer(self):
        """A layer that cannot be built is a CommandError, not a traceback."""
        message = "Cannot import BACKEND 'nowhere.Layer' specified for default"
        with self.settings(CHANNEL_LAYERS=layer_settings(backend="nowhere.Layer")):
            with self.assertRaisesMessage(CommandError, message):
                self.check("--noworker")


@override_settings(CHANNEL_LAYERS=layer_settings())
class ChoiceTests(RunserverTestCase):
    def assertServesWSGI(self, command_class, line, *args):
        command, options = self.choose(command_class, *args)
        self.assertIs(options["asgi_handler"], False)
        self.assertEqual(self.output.getvalue(), line)
        self.assertIs(runserver.get_run(command, options, "upstream's"), "upstream's")
        self.assertIsNone(runserver.get_handler(options))

    def test_asgi(self):
        """With a layer and Daphne, sockets are served and nothing is said."""
        for command_class in Command, StaticCommand, RunningCommand:
            with self.subTest(command_class=command_class):
                command, options = self.choose(command_class)
                self.assertIs(options["asgi_handler"], True)
                self.assertEqual(self.output.getvalue(), "")
                run = runserver.get_run(command, options, "upstream's")
                self.assertIs(run.func, runserver.run)

    def test_noasgi(self):
        """--noasgi is upstream's server and says nothing."""
        self.assertServesWSGI(Command, "", "--noasgi")

    @override_settings(CHANNEL_LAYERS={})
    def test_no_layer(self):
        """Without a layer, one line tells which setting is missing."""
        line = 'set CHANNEL_LAYERS["default"] in your settings.'
        self.assertServesWSGI(Command, f"WebSockets are not served: {line}\n")

    def test_no_daphne(self):
        """Without Daphne, one line tells what to install."""
        line = 'install Daphne (python -m pip install "daphne>=4.2.2").'
        missing = metadata.PackageNotFoundError("daphne")
        with mock.patch.object(metadata, "version", side_effect=missing):
            self.assertServesWSGI(Command, f"WebSockets are not served: {line}\n")

    def test_old_daphne(self):
        """With a Daphne that lacks what is needed, one line tells so."""
        line = 'Daphne 4.2.1 is too old (python -m pip install "daphne>=4.2.2").'
        with mock.patch.object(metadata, "version", return_value="4.2.1"):
            self.assertServesWSGI(Command, f"WebSockets are not served: {line}\n")

    def test_own_server(self):
        """A subclass with a server of its own gets a WSGI handler, and a line."""
        line = f"{__name__}.ServerCommand.server_cls is made for WSGI."
        self.assertServesWSGI(ServerCommand, f"WebSockets are not served: {line}\n")

    def test_own_handler(self):
        """A subclass that wraps the handler gets a WSGI one, and a line."""
        line = f"{__name__}.HandlerCommand.get_handler() is made for WSGI."
        self.assertServesWSGI(HandlerCommand, f"WebSockets are not served: {line}\n")

    @override_settings(CHANNEL_LAYERS={})
    def test_own_server_without_layer(self):
        """A server of one's own hears nothing of channels without a layer."""
        self.assertServesWSGI(ServerCommand, "")


@override_settings(CHANNEL_LAYERS=layer_settings(), DEBUG=True, STATIC_URL="/static/")
class HandlerTests(RunserverTestCase):
    def get_handler(self, command_class, *args):
        command, options = self.choose(command_class, *args)
        return command.get_handler(**options)

    def test_threads(self):
        """Four threads run consumers, one with --nothreading."""
        handler = self.get_handler(Command)
        self.assertIsInstance(handler, InProcessApplication)
        self.assertEqual(handler.threads, 4)
        self.assertEqual(self.get_handler(Command, "--nothreading").threads, 1)

    def test_static_files(self):
        """staticfiles' command wraps the application."""
        handler = self.get_handler(StaticCommand)
        self.assertIsInstance(handler, ASGIStaticFilesHandler)
        self.assertIsInstance(handler.application, InProcessApplication)

    def test_no_static_files(self):
        """Static files are left alone with --nostatic, and without DEBUG."""
        handler = self.get_handler(StaticCommand, "--nostatic")
        self.assertIsInstance(handler, InProcessApplication)
        with self.settings(DEBUG=False):
            handler = self.get_handler(StaticCommand)
            self.assertIsInstance(handler, InProcessApplication)
            handler = self.get_handler(StaticCommand, "--insecure")
            self.assertIsInstance(handler, ASGIStaticFilesHandler)

    def test_wsgi(self):
        """--noasgi gets upstream's handlers."""
        self.assertIs(type(self.get_handler(Command, "--noasgi")), WSGIHandler)
        handler = self.get_handler(StaticCommand, "--noasgi")
        self.assertIs(type(handler), StaticFilesHandler)

    def test_handler_of_unchosen_server(self):
        """Who asks for a handler without inner_run() gets a WSGI one."""
        command = self.make(Command)
        handler = command.get_handler(**get_options(command))
        self.assertIs(type(handler), WSGIHandler)


class BindTests(SimpleTestCase):
    def test_any_port(self):
        """Port 0 is a free one."""
        with runserver.bind("127.0.0.1", 0) as listener:
            address = listener.getsockname()
            socket.create_connection(address).close()

    def test_errors(self):
        """What cannot be bound is an OSError of the kind upstream reports."""
        with runserver.bind("127.0.0.1", 0) as listener:
            with self.assertRaisesMessage(OSError, f"[Errno {errno.EADDRINUSE}]"):
                runserver.bind(*listener.getsockname())
        # An address of the block that is reserved for documentation.
        with self.assertRaisesMessage(OSError, f"[Errno {errno.EADDRNOTAVAIL}]"):
            runserver.bind("192.0.2.1", 0)

    def test_port_out_of_range(self):
        """A port number that does not exist is an OSError that names it."""
        with self.assertRaisesMessage(OSError, "70000 is not a port number"):
            runserver.bind("127.0.0.1", 70000)

    @skipUnless(socket.has_ipv6, "Python is built without IPv6.")
    def test_ipv6(self):
        """An IPv6 address is bound as such."""
        try:
            listener = runserver.bind("::1", 0, ipv6=True)
        except OSError as error:
            self.skipTest(f"The machine has no IPv6 loopback: {error}")
        with listener:
            self.assertEqual(listener.family, socket.AF_INET6)
