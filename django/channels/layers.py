"""
The channel layers of this process, by their alias in CHANNEL_LAYERS.

In: an alias, from Channel, Group, workers and a project's asgi.py.
Out: one ChannelLayerWrapper per alias and process, around the backend.
"""

import inspect
import threading

from django.channels.backends.base import BaseChannelLayer
from django.channels.exceptions import InvalidChannelLayerError
from django.channels.freezing import freeze_start
from django.channels.importing import import_named
from django.channels.routing import Router
from django.channels.signals import layer_gap
from django.conf import settings
from django.core.signals import setting_changed
from django.utils.functional import cached_property

DEFAULT_CHANNEL_LAYER = "default"

_KNOWN_KEYS = {"BACKEND", "ROUTING", "CONFIG", "TEST_CONFIG"}
# The kinds of parameters that an option can be given to.
_NAMED = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


class ChannelLayerWrapper:
    """
    A channel layer with its alias and routing, as configured.

    Whatever it does not define itself, it takes from the layer. It is an
    ASGI 3 application that puts what a server receives onto the layer.
    """

    def __init__(self, channel_layer, alias, routing):
        self.channel_layer = channel_layer
        self.alias = alias
        self.routing = routing

    def __getattr__(self, name):
        return getattr(self.channel_layer, name)

    def __str__(self):
        backend = type(self.channel_layer)
        return f"{self.alias} ({backend.__module__}.{backend.__qualname__})"

    def __repr__(self):
        return f"<{type(self).__name__}: {self}>"

    async def __call__(self, scope, receive, send):
        """Serve one ASGI 3 connection; see interface/application.py."""
        await self._application(scope, receive, send)

    @cached_property
    def router(self):
        """The Router of the layer's ROUTING, default routes included."""
        return Router(self.routing, with_defaults=True)

    @cached_property
    def _application(self):
        from django.channels.interface.application import get_bus_application

        # The first connection, and not every server tells of its start.
        freeze_start()
        return get_bus_application(self)

    def send_gap(self):
        """Send the signal layer_gap."""
        layer_gap.send_robust(sender=type(self.channel_layer), channel_layer=self)

    def local_only(self):
        """Return whether only this process sees what is sent."""
        return not self.channel_layer.spans_processes


class ChannelLayerManager:
    """
    Builds each configured layer once, when it is first asked for.

    Unlike database connections, layers belong to the process: every thread
    and event loop shares them.
    """

    def __init__(self):
        self.backends = {}
        self._lock = threading.RLock()

    @property
    def configs(self):
        """The CHANNEL_LAYERS setting."""
        return settings.CHANNEL_LAYERS

    def __getitem__(self, alias):
        try:
            return self.backends[alias]
        except KeyError:
            pass
        with self._lock:
            if alias not in self.backends:
                self.backends[alias] = self.make_backend(alias)
            return self.backends[alias]

    def __contains__(self, alias):
        return alias in self.configs

    def __iter__(self):
        return iter(self.configs)

    def make_backend(self, alias):
        """
        Return a new layer for an alias, built with its CONFIG.

        Raise InvalidChannelLayerError if its configuration does not allow it.
        """
        return self._make(alias, "CONFIG")

    def make_test_backend(self, alias):
        """
        Return a new layer for an alias, built with its TEST_CONFIG.

        Raise InvalidChannelLayerError if its configuration does not allow it.
        """
        config = self.get_config(alias)
        if "TEST_CONFIG" not in config:
            raise InvalidChannelLayerError(
                f"No TEST_CONFIG specified for {alias} in CHANNEL_LAYERS."
            )
        return self._make(alias, "TEST_CONFIG")

    def set(self, alias, layer):
        """
        Put a layer in an alias' place, or take it away if ``layer`` is None.

        Return what stood there before, None if nothing did.
        """
        with self._lock:
            old = self.backends.pop(alias, None)
            if layer is not None:
                self.backends[alias] = layer
            return old

    def close_all(self):
        """Close every layer of this process; the next use builds it anew."""
        with self._lock:
            layers, self.backends = list(self.backends.values()), {}
        for layer in layers:
            layer.close()

    def get_config(self, alias):
        """
        Return what CHANNEL_LAYERS has for an alias.

        Raise InvalidChannelLayerError if that is nothing, or is incomplete.
        """
        try:
            config = self.configs[alias]
        except KeyError:
            known = ", ".join(self.configs) or "none at all"
            raise InvalidChannelLayerError(
                f"The channel layer {alias!r} is not in CHANNEL_LAYERS, which "
                f"has {known}."
            ) from None
        if not isinstance(config, dict):
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{alias!r}] must be a dict, not {_describe(config)}."
            )
        if unknown := set(config) - _KNOWN_KEYS:
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{alias!r}] has unknown keys: "
                f"{', '.join(sorted(map(str, unknown)))}. It knows "
                f"{', '.join(sorted(_KNOWN_KEYS))}."
            )
        for key in ("BACKEND", "ROUTING"):
            if key not in config:
                raise InvalidChannelLayerError(
                    f"No {key} specified for {alias} in CHANNEL_LAYERS."
                )
        return config

    def _make(self, alias, key):
        config = self.get_config(alias)
        options = config.get(key, {})
        if not isinstance(options, dict):
            raise InvalidChannelLayerError(
                f"{key} of CHANNEL_LAYERS[{alias!r}] must be a dict of options, not "
                f"{_describe(options)}."
            )
        backend_class = self._import(alias, config["BACKEND"])
        try:
            layer = backend_class(**options)
        except InvalidChannelLayerError as error:
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{alias!r}]: {error}"
            ) from error
        except TypeError as error:
            raise InvalidChannelLayerError(
                f"Cannot configure {config['BACKEND']} for {alias}: {error}."
                f"{_describe_options(backend_class)}"
            ) from error
        wrapper = ChannelLayerWrapper(layer, alias, config["ROUTING"])
        layer.on_gap(wrapper.send_gap)
        return wrapper

    def _import(self, alias, backend):
        if not isinstance(backend, str):
            raise InvalidChannelLayerError(
                f"BACKEND of CHANNEL_LAYERS[{alias!r}] must be the dotted path of a "
                f"class, not {_describe(backend)}."
            )
        what = f"BACKEND {backend!r} specified for {alias}"
        backend_class = import_named(backend, what, InvalidChannelLayerError)
        is_class = isinstance(backend_class, type)
        if not is_class or not issubclass(backend_class, BaseChannelLayer):
            raise InvalidChannelLayerError(
                f"{what} is not a channel layer: it must be a class that derives from "
                "BaseChannelLayer."
            )
        return backend_class


# What stands in the settings may hold passwords and keys: no error shows it.


def _describe(value):
    return "None" if value is None else f"of type {type(value).__name__}"


def _describe_options(backend_class):
    """Return a sentence with the options of a layer, as its signatures tell them."""
    names = {}
    for cls in getattr(backend_class, "__mro__", ()):
        if "__init__" in vars(cls):
            parameters = inspect.signature(cls.__init__).parameters.values()
            names.update((p.name, p) for p in parameters)
            if inspect.Parameter.VAR_KEYWORD not in {p.kind for p in parameters}:
                break
    known = [n for n, p in names.items() if p.kind in _NAMED and n != "self"]
    return f" Its options are {', '.join(known)}." if known else ""


channel_layers = ChannelLayerManager()


def _forget_layers(*, setting, **kwargs):
    if setting == "CHANNEL_LAYERS":
        channel_layers.close_all()


setting_changed.connect(_forget_layers)
