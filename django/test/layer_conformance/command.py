"""The conformance suite from the command line; see docs/ref/channels/backends.txt."""

import argparse
import json
import os
import secrets
import sys
import unittest

import django
from django.channels.exceptions import ChannelsError
from django.conf import settings
from django.test import SimpleTestCase
from django.utils.module_loading import import_string

# What stands in an option for a text of its own in each test.
PLACEHOLDER = "{test}"
DEFAULT_CALLERS = 8


def main(argv, suite_class):
    """Test the layer that ``argv`` names; return the exit code, 0, 1 or 2."""
    # Without a project, the defaults of all settings are those of the tests.
    if "DJANGO_SETTINGS_MODULE" not in os.environ:
        settings.configure()
    django.setup()
    options = _parse(argv)
    if error := _try(options):
        print(f"{options.layer} cannot be tested: {error}", file=sys.stderr)
        return 2
    loader = unittest.TestLoader()
    loader.testNamePatterns = [
        pattern if "*" in pattern else f"*{pattern}*" for pattern in options.k
    ] or None
    suite = unittest.TestSuite()
    for callers in dict.fromkeys([1, options.callers]):
        case = _make_case(suite_class, options, callers)
        suite.addTests(loader.loadTestsFromTestCase(case))
    result = unittest.TextTestRunner(verbosity=1 + options.verbose).run(suite)
    return 0 if result.wasSuccessful() and result.testsRun else 1


def _parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m django.test.channel_layers",
        description=(
            "Test whether a channel layer keeps the contract, by the numbered "
            "requirements of its specification."
        ),
    )
    parser.add_argument("layer", help="The dotted path of the layer's class.")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        type=_parse_option,
        metavar="NAME=VALUE",
        help=(
            "An option of the layer, as JSON or plain text; can be repeated. In it, "
            f"{PLACEHOLDER} is another text in each test, to keep stores apart."
        ),
    )
    parser.add_argument(
        "--callers",
        type=int,
        default=DEFAULT_CALLERS,
        help="Run the tests by so many callers at a time as well (default: 8).",
    )
    parser.add_argument(
        "-k", action="append", default=[], help="Run tests with this in their names."
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="Print the name of each test."
    )
    options = parser.parse_args(argv)
    try:
        import_string(options.layer)
    except ImportError as error:
        parser.error(str(error))
    if options.callers < 1:
        parser.error(f"--callers must be 1 or more, not {options.callers}.")
    return options


def _try(options):
    """Return why there is no such layer or store, which no test need tell; or None."""
    try:
        layer = import_string(options.layer)(**_make_options(options))
        try:
            layer.check(reach=True)
        finally:
            layer.close()
    except (ChannelsError, TypeError) as error:
        return error


def _make_options(options):
    """Return the options of a layer, with a text of their own in them."""
    token = secrets.token_hex(8)
    return {name: _fill_in(value, token) for name, value in options.option}


def _parse_option(text):
    name, separator, value = text.partition("=")
    if not separator or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"must have the form NAME=VALUE, not {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _make_case(suite_class, given, number_of_callers):
    class LayerTests(suite_class, SimpleTestCase):
        layer_class = import_string(given.layer)
        callers = number_of_callers

        def get_options(self):
            return _make_options(given)

    suffix = "" if number_of_callers == 1 else f"By{number_of_callers}Callers"
    LayerTests.__name__ = f"{LayerTests.layer_class.__name__}Tests{suffix}"
    LayerTests.__qualname__ = LayerTests.__name__
    return LayerTests


def _fill_in(value, token):
    if isinstance(value, str):
        return value.replace(PLACEHOLDER, token)
    if isinstance(value, list):
        return [_fill_in(item, token) for item in value]
    if isinstance(value, dict):
        return {key: _fill_in(item, token) for key, item in value.items()}
    return value
