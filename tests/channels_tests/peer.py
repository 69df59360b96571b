"""
A process beside a test, with nothing but the standard library and the tree.

It makes a layer and calls its methods, as the lines of its input say. It has no
settings and none of the packages that make layers fast. Values are written as
Python literals.
"""

import ast
import os
import sys

SLOW = ("hiredis", "msgspec", "msgpack")


def make_layer(kind, options):
    """Return a layer, in a process without packages and settings."""
    for name in SLOW:
        # Importing them fails, if they are there.
        sys.modules[name] = None
    if kind == "redis":
        from django.channels.backends.redis import RedisChannelLayer

        return RedisChannelLayer(**options)
    from django.channels.backends.ipc import IPCChannelLayer

    return IPCChannelLayer(**options)


def main():
    kind, options = ast.literal_eval(sys.argv[1])
    layer = make_layer(kind, options)
    print(("ready", sys.version_info[:2]), flush=True)
    for line in sys.stdin:
        name, args = ast.literal_eval(line)
        print((name, getattr(layer, name)(*args)), flush=True)
    layer.close()
    # Neither is needed, and neither came by accident.
    assert "DJANGO_SETTINGS_MODULE" not in os.environ
    settings = sys.modules.get("django.conf")
    print(("settings", settings is not None and settings.settings.configured))


if __name__ == "__main__":
    main()
