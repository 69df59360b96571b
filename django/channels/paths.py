"""
Django's path syntax for sockets, and for all else that has a path.

In: URLPattern and URLResolver objects in a routing. Out: consumers with what the
path captured; paths for names.

django.urls is imported when it is needed: it imports system checks, and these
import the channels.
"""

import re

from django.channels.exceptions import InvalidRoutingError
from django.channels.targets import consumer_for, resolve_consumer
from django.conf import settings
from django.utils.functional import lazy
from django.utils.regex_helper import normalize

# The channels that a function gets the messages of: the life of a socket.
SOCKET_CHANNELS = ("websocket.connect", "websocket.receive", "websocket.disconnect")

# Flags at the beginning of a regular expression.
_flags_re = re.compile(r"\A\(\?[aiLmsux]+\)")


class Endpoint:
    """
    What stands at the end of a path: one consumer, or one for each channel.

    A consumer that does not say which channels it takes gets the messages of
    SOCKET_CHANNELS. Raise InvalidRoutingError if it cannot be imported or called.
    """

    def __init__(self, target, atomic=False):
        if isinstance(target, dict):
            consumers = {name: resolve_consumer(item) for name, item in target.items()}
        else:
            consumer = resolve_consumer(target)
            names = getattr(consumer, "channel_names", None)
            channels = names() if callable(names) else SOCKET_CHANNELS
            consumers = dict.fromkeys(channels, consumer)
        self.target = target
        self.consumers = {
            channel: consumer_for(consumer, channel, atomic)
            for channel, consumer in consumers.items()
        }

    def __call__(self, message, **kwargs):
        """Run the consumer of the message's channel."""
        return self.consumers[message.channel.name](message, **kwargs)


def path(route, consumer, kwargs=None, name=None, *, atomic=False):
    """
    Return a route by the path of a message, in the syntax of django.urls.path().

    ``consumer`` is a class, a function for SOCKET_CHANNELS, a dotted path of
    either, a dict {channel: consumer}, or what include() returned. See Route for
    ``atomic``.
    """
    from django.urls import path

    return path(route, _get_target(consumer, atomic), kwargs, name)


def re_path(route, consumer, kwargs=None, name=None, *, atomic=False):
    """See path(). ``route`` is a regular expression."""
    from django.urls import re_path

    return re_path(route, _get_target(consumer, atomic), kwargs, name)


def _get_target(consumer, atomic):
    patterns = getattr(consumer, "all_path_patterns", None)
    if patterns is not None:
        # An include() of django.channels; that of django.urls is a tuple.
        return patterns(), None, None
    if isinstance(consumer, tuple):
        return consumer
    return Endpoint(consumer, atomic)


def reverse(
    viewname,
    args=None,
    kwargs=None,
    current_app=None,
    *,
    query=None,
    fragment=None,
    alias="default",
):
    """
    Return the path that leads to a named path() of a layer's routing.

    ``alias`` is the layer's; see django.urls.reverse() for the rest. Raise
    NoReverseMatch if there is none.
    """
    from django.channels.layers import channel_layers
    from django.urls import NoReverseMatch, reverse

    urlconf = channel_layers[alias].router.urlconf
    try:
        return reverse(
            viewname,
            urlconf=urlconf,
            args=args,
            kwargs=kwargs,
            current_app=current_app,
            query=query,
            fragment=fragment,
        )
    except NoReverseMatch as error:
        if not urlconf.closed_prefixes:
            raise
        prefixes = ", ".join(map(repr, urlconf.closed_prefixes))
        raise NoReverseMatch(
            f"{error} Names behind an include() with {prefixes} have no path: that is "
            f"not one text with named groups."
        ) from error


reverse_lazy = lazy(reverse, str)


class UrlConf:
    """
    The patterns of a routing, in the shape of a URLconf's module.

    ``closed_prefixes`` are those of which no path can be made.
    """

    def __init__(self, patterns):
        self.urlpatterns = [p for p in patterns if not isinstance(p, _ClosedPrefix)]
        closed = [p.regex for p in patterns if isinstance(p, _ClosedPrefix)]
        self.closed_prefixes = list(dict.fromkeys(closed))


class _ClosedPrefix:
    """Stands for a pattern behind a regular expression that is no text."""

    def __init__(self, regex):
        self.regex = regex


def join_prefixes(outer, inner):
    """Return the regular expression for two, the second matching behind the first."""
    regex = re.compile(inner).pattern
    return outer + _flags_re.sub("", regex).removeprefix("^").removeprefix(r"\A")


def _put_behind(prefix, pattern):
    """Return a pattern of django.urls that begins with a regular expression."""
    from django.urls import URLResolver
    from django.urls.resolvers import RegexPattern

    # What is behind it may begin with a slash, see _get_local_path().
    regex = re.sub(r"\A\\?/", "", prefix)
    if regex and not regex.endswith("/"):
        regex += "/"
    try:
        re.compile(regex)
    except re.error:
        return _ClosedPrefix(prefix)
    if regex and normalize(regex) == [("", [])]:
        return _ClosedPrefix(prefix)
    return URLResolver(RegexPattern(f"^{regex}"), [pattern])


def is_path(route):
    """Return whether something is a pattern of django.urls."""
    from django.urls import URLPattern, URLResolver

    return isinstance(route, (URLPattern, URLResolver))


def not_a_path(route):
    """Return the error for a route that a path includes and that has none."""
    return InvalidRoutingError(
        f"{route!r} is included by a path, where only path() and re_path() can stand."
    )


class PathRoute:
    """
    Sends messages to consumers by a pattern of django.urls for their path.

    Raise InvalidRoutingError if what the pattern includes cannot be loaded, and
    ValueError for positional groups.
    """

    def __init__(self, pattern):
        self.pattern = pattern
        # What Django's own path() took as a view, made a consumer once.
        self._endpoints = {}
        self._add_endpoints(pattern)
        self._channels = set()
        for endpoint in self._endpoints.values():
            self._channels.update(endpoint.consumers)

    def channel_names(self):
        """Return the set of the channels that some consumer takes messages of."""
        return self._channels

    def match(self, message):
        """Return (consumer, kwargs) for a message, None if it goes elsewhere."""
        channel = message.channel.name
        if channel not in self._channels or "path" not in message.content:
            return None
        found = _resolve(self.pattern, _get_local_path(message.content))
        if found is None:
            return None
        view, kwargs = found
        consumer = self._endpoints[view].consumers.get(channel)
        return None if consumer is None else (consumer, kwargs)

    def path_patterns(self, prefix=""):
        """
        Return the patterns that names are looked up in.

        ``prefix`` is the regular expression of the includes around the route.
        """
        return [_put_behind(prefix, self.pattern)] if prefix else [self.pattern]

    def targets(self):
        """Return the consumers of all endpoints, or a dict of them by channel."""
        return [endpoint.target for endpoint in self._endpoints.values()]

    def leaves(self):
        """Yield (channels, the pattern as a whole) of each endpoint."""
        yield from self._leaves_of(self.pattern, "")

    def _leaves_of(self, pattern, prefix):
        whole = f"{prefix}{pattern.pattern}"
        if hasattr(pattern, "url_patterns"):
            for part in pattern.url_patterns:
                yield from self._leaves_of(part, whole)
        else:
            yield set(self._endpoints[pattern.callback].consumers), whole

    def _add_endpoints(self, pattern):
        if hasattr(pattern, "url_patterns"):
            try:
                inner = list(pattern.url_patterns)
            except ImportError as error:
                raise InvalidRoutingError(
                    f"Cannot import what {pattern!r} includes: {error}"
                ) from error
            for part in inner:
                self._add_endpoints(part)
            return
        if not is_path(pattern):
            raise not_a_path(pattern)
        regex = pattern.pattern.regex
        if regex.groups != len(regex.groupindex):
            raise ValueError(
                f"{regex.pattern!r} contains positional groups; only named groups are "
                f"allowed."
            )
        view = pattern.callback
        if view not in self._endpoints:
            is_endpoint = isinstance(view, Endpoint)
            self._endpoints[view] = view if is_endpoint else Endpoint(view)


def _resolve(pattern, path):
    """
    Return (view, kwargs) for a path, or None.

    As resolve() of the patterns, without the report of all that does not match.
    """
    match = pattern.pattern.match(path)
    if not match:
        return None
    rest, _, kwargs = match
    inner = getattr(pattern, "url_patterns", None)
    if inner is None:
        return pattern.callback, {**kwargs, **pattern.default_args}
    for part in inner:
        if found := _resolve(part, rest):
            view, inner_kwargs = found
            return view, {**kwargs, **pattern.default_kwargs, **inner_kwargs}
    return None


def _get_local_path(content):
    """Return the path of a message as patterns see it: as of URLs for requests."""
    path = str(content["path"])
    prefix = (settings.FORCE_SCRIPT_NAME or content.get("root_path") or "").rstrip("/")
    if path.startswith(f"{prefix}/"):
        path = path.removeprefix(prefix)
    return path.removeprefix("/")
