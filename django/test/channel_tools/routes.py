"""Routes for as long as a test, or a part of it, runs."""

from django.channels import DEFAULT_CHANNEL_LAYER, channel_layers
from django.channels.routing import Router
from django.test.utils import TestContextDecorator

from .layers import check_aliases


class apply_routes(TestContextDecorator):
    """
    Have layers route by these routes, and Django's own, instead of their ROUTING.

    ``routes`` is whatever a ROUTING may be, or one route; ``aliases`` names the
    layers. It is a context manager, and a decorator of functions and of test
    classes, whose setUp() and tests it is in force for.
    """

    def __init__(self, routes, aliases=None):
        super().__init__()
        self.routes = [routes] if hasattr(routes, "match") else routes
        self.aliases = [DEFAULT_CHANNEL_LAYER] if aliases is None else aliases
        check_aliases(self.aliases)
        # (layer, its router) for each alias, and that for each enable().
        self._replaced = []

    def enable(self):
        router = Router(self.routes, with_defaults=True)
        layers = [channel_layers[alias] for alias in self.aliases]
        self._replaced.append(
            [(layer, layer.__dict__.get("router")) for layer in layers]
        )
        for layer in layers:
            layer.router = router

    def disable(self):
        for layer, router in self._replaced.pop():
            # Without one, it is made from the ROUTING again.
            if router is None:
                del layer.router
            else:
                layer.router = router
