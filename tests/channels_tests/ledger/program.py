"""
A process of a ledger: a layer, and the roles that are played on it.

In: commands, lines of JSON on standard input; its end is the process's end.
Out: journals in the folder that it was given, also one of its own.
"""

import fcntl
import json
import os
import select
import sys
import threading
import time
import traceback
from pathlib import Path


def main(settings, name, folder):
    """Carry out commands until there are no more."""
    if "FAKETIME_TIMESTAMP_FILE" in os.environ:
        # libfaketime gives the system a monotonic time that is wrong, for this.
        time.sleep = lambda seconds: select.select([], [], [], seconds)
    layer = set_up(settings, folder)
    from django.channels.signals import layer_gap

    from .journal import Journal

    journal = Journal(Path(folder, name))
    layer_gap.connect(lambda **_: journal.note("gap"), weak=False)
    roles = {}
    journal.note("ready", os.getpid())
    for line in sys.stdin:
        command, *args = json.loads(line)
        try:
            COMMANDS[command](layer, journal, roles, folder, *args)
        except Exception:
            journal.note("failed", traceback.format_exc())
    os._exit(0)


def set_up(settings, folder):
    """Configure Django; return the default channel layer, with its tables."""
    import django
    from django.conf import settings as django_settings

    if any("mysql" in each["ENGINE"] for each in settings["DATABASES"].values()):
        import pymysql

        pymysql.install_as_MySQLdb()
    django_settings.configure(**settings, USE_TZ=True)
    django.setup()
    from django.channels import channel_layers

    layer = channel_layers["default"].channel_layer
    if hasattr(layer, "create_tables"):
        with open(Path(folder, "lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            layer.create_tables()
    return layer


def play(layer, journal, roles, folder, kind, name, form, options):
    """Start a role in a thread of its own."""
    from .drivers import run_async, run_sync
    from .journal import Journal
    from .roles import ROLES

    impatient = options.pop("impatient", False)
    own = Journal(Path(folder, name))
    role = roles[name] = ROLES[kind](name, own, **options)
    if form == "async":
        target, args = run_async, (role, layer, impatient)
    else:
        target, args = run_sync, (role, layer)

    def run():
        try:
            target(*args)
        except BaseException:
            own.note("failed", traceback.format_exc())
        own.note("ended")

    threading.Thread(target=run, daemon=True).start()


def stop(layer, journal, roles, folder, name):
    """Have a role end."""
    roles[name].stopping.set()


def count(layer, journal, roles, folder, number, channels):
    """Note the statistics of the layer and of some channels."""
    details = {name: layer.statistics(name) for name in channels}
    journal.note("statistics", number, layer.statistics(), details)


def close(layer, journal, roles, folder):
    """Close the layer and note how it went."""
    layer.close()
    journal.note("closed", threading.active_count())


COMMANDS = {"play": play, "stop": stop, "count": count, "close": close}

if __name__ == "__main__":
    main(json.loads(sys.argv[1]), *sys.argv[2:])
