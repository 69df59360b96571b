"""The layers of this process, for a forked child to reset."""

import os
import weakref

_layers = weakref.WeakSet()


def reset_in_child(layer):
    """Have after_fork() of a layer called in every forked child."""
    _layers.add(layer)


def _reset_all():
    for layer in list(_layers):
        layer.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
