"""What is left of django.channels' objects for the garbage collector."""

import gc
import sys
import types

from asgiref.sync import async_to_sync, iscoroutinefunction

PACKAGE = "django.channels."
# What every version of Python frees.
CONNECTIONS = (
    "django.channels.interface.http.HttpConnection",
    "django.channels.interface.incoming.Incoming",
    "django.channels.interface.websocket.WebSocketConnection",
    "django.channels.interface.wsgi.WsgiConnection",
)


class GarbageTestMixin:
    """Asserts that what a function makes is freed without the garbage collector."""

    def assertFreed(self, function, *args):
        """
        Call a function, which may be a coroutine function.

        Fail if instances or frames of django.channels are in reference cycles then.
        """
        call = async_to_sync(function) if iscoroutinefunction(function) else function
        # The first call makes what stays: threads, compiled patterns, caches.
        call(*args)
        gc.collect()
        # Nobody else's garbage, which there is a lot of in a test run.
        gc.freeze()
        gc.disable()
        try:
            call(*args)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            found = sorted(filter(None, map(_name_of, gc.garbage)))
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
            gc.unfreeze()
        if sys.version_info[:2] != (3, 11):
            # Others keep frames of the event loop and of threads in cycles.
            found = [name for name in found if name in CONNECTIONS]
        self.assertEqual(found, [])


def _name_of(thing):
    """Return the name of what is of the package, None for anything else."""
    if isinstance(thing, types.FrameType):
        name = f"{thing.f_globals.get('__name__')}.{thing.f_code.co_name}()"
    elif isinstance(thing, types.FunctionType):
        name = f"{thing.__module__}.{thing.__qualname__}"
    else:
        name = f"{type(thing).__module__}.{type(thing).__qualname__}"
    return name if name.startswith(PACKAGE) else None
