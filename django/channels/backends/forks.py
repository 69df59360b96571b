"""The layers of this process, for a forked child to reset."""

import logging
import os
import weakref

logger = logging.getLogger("django.channels")

_layers = weakref.WeakSet()


def reset_in_child(layer):
    """Have after_fork() of a layer called in every forked child."""
    _layers.add(layer)


def _reset_all():
    for layer in list(_layers):
        try:
            layer.after_fork()
        except Exception:
            # The others would share locks and connections with the parent.
            logger.exception(
                "%s cannot be used in a forked child.", type(layer).__name__
            )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
