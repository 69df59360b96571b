from django.channels import channel_layers
from django.channels.backends.database import DatabaseChannelLayer
from django.channels.exceptions import ChannelsError
from django.core.management.base import BaseCommand, CommandError
from django.db import connections


class Command(BaseCommand):
    help = "Creates the tables that channel layers in databases need."

    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument(
            "args",
            metavar="layer",
            nargs="*",
            help=(
                "Aliases of layers in settings.CHANNEL_LAYERS. Otherwise, all of them "
                "that are in a database."
            ),
        )
        parser.add_argument(
            "--database",
            choices=tuple(connections),
            help="Leaves out layers in other databases.",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Does not create the tables, just prints the SQL that would be run.",
        )

    def handle(self, *aliases, **options):
        found = False
        for alias in aliases or channel_layers:
            layer = self.make_layer(alias)
            if not isinstance(layer, DatabaseChannelLayer):
                if aliases:
                    raise CommandError(f"Channel layer '{alias}' is not in a database.")
            elif options["database"] in (None, layer.using):
                self.create_tables(alias, layer, options)
                found = True
        if not found and options["verbosity"] > 0:
            database = options["database"] or "a database"
            self.stdout.write(f"No channel layer is in {database}.")

    def make_layer(self, alias):
        try:
            return channel_layers.make_backend(alias).channel_layer
        except ChannelsError as error:
            raise CommandError(error) from error

    def create_tables(self, alias, layer, options):
        if options["dry_run"]:
            for statement in layer.creation_sql():
                self.stdout.write(f"{statement};")
            return
        try:
            created = layer.create_tables()
        except ChannelsError as error:
            raise CommandError(
                f"The tables of channel layer '{alias}' could not be created.\n{error}"
            ) from error
        finally:
            layer.close()
        if options["verbosity"] > 0:
            done = "created" if created else "already exist"
            self.stdout.write(f"Tables of channel layer '{alias}' {done}.")
