"""Every exception of the scripts."""

import contextlib
import sys


class ToolError(Exception):
    """Raised with one sentence that tells the user what is wrong."""


class PatchError(ToolError):
    """Raised when a patch cannot be read or does not apply strictly."""


class EditedError(ToolError):
    """Raised when work in the built tree would be lost."""


@contextlib.contextmanager
def one_sentence():
    """Turn a ToolError into its sentence on standard error and exit code 1."""
    try:
        yield
    except ToolError as error:
        sys.exit(f"error: {error}")
