"""
What settings and routings name by dotted paths.

In: paths, from layers.py, routing.py and targets.py. Out: what they lead to, or an
error of theirs.
"""

from importlib.util import find_spec
from types import ModuleType

from django.utils.module_loading import import_string

_MODULE_TEXT = "this is a module; add a dot and the name of what is meant in it."


def import_named(path, what, error_class):
    """
    Return what a dotted path leads to: something in a module.

    Raise an ``error_class``, also for a module; ``what`` says there which path of
    whom it is.
    """
    try:
        if path.startswith("."):
            raise ImportError("a path cannot begin with a dot here.")
        found = import_string(path)
    except (ImportError, AttributeError) as error:
        reason = _MODULE_TEXT if _is_module(path) else error
        raise error_class(f"Cannot import {what}: {reason}") from error
    if isinstance(found, ModuleType):
        raise error_class(f"Cannot import {what}: {_MODULE_TEXT}")
    return found


def _is_module(path):
    try:
        return find_spec(path) is not None
    except (ImportError, ValueError):
        # What is in front of the last dot is no package, or the path is no path.
        return False
