"""
Regular expressions on the keys of a message.

In: the patterns of a route or an include. Out: their matches in a message.
"""

import re

from django.channels.exceptions import InvalidRoutingError


class Filters:
    """
    Regular expressions by the key that they are for; all of them must match.

    Raise InvalidRoutingError for what is no regular expression, ValueError for a
    group without a name.
    """

    def __init__(self, patterns):
        self.patterns = dict(patterns)
        self._regexes = {key: _compile(key, value) for key, value in patterns.items()}

    def match(self, content):
        """Return {key: re.Match} for a message's content, or None."""
        matches = {}
        for key, regex in self._regexes.items():
            if key not in content:
                return None
            match = regex.match(_text_of(content[key]))
            if match is None or _ends_before_newline(match):
                return None
            matches[key] = match
        return matches


def kwargs_of(matches):
    """Return the named groups of {key: re.Match} in one dict."""
    kwargs = {}
    for match in matches.values():
        kwargs.update(match.groupdict())
    return kwargs


def _compile(key, pattern):
    """Return a filter's regular expression, checked."""
    try:
        regex = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise InvalidRoutingError(
            f"The filter {key}={pattern!r} is not a regular expression: {error}"
        ) from error
    if regex.groups != len(regex.groupindex):
        raise ValueError(
            f"{key}={pattern!r} contains positional groups; only named groups are "
            f"allowed."
        )
    return regex


def _text_of(value):
    """Return the str that filters match for a message's value."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return value if isinstance(value, str) else str(value)


def _ends_before_newline(match):
    """Return whether a ``$`` at the end matched before a newline, not at the end."""
    return (
        match.end() == len(match.string) - 1
        and match.string[-1] == "\n"
        and match.re.pattern.endswith("$")
    )
