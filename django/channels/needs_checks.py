"""
System checks of what the consumers of a routing need besides messages.

In: a layer with its routing, from checks.py. Out: messages of the check framework.
"""

from django.apps import apps
from django.channels.exceptions import ChannelsError
from django.channels.limits import get_limits
from django.channels.needs import (
    CHANNEL_SESSION,
    HTTP_SESSION,
    ORDER,
    USER,
    needs_of_router,
)
from django.conf import settings
from django.core.checks import Error, Warning
from django.utils.module_loading import import_string

SESSION_MIDDLEWARE = "django.contrib.sessions.middleware.SessionMiddleware"


def check_needs(layer):
    """Return what keeps the consumers of a layer from having what they need."""
    needs = needs_of_router(layer.router)
    messages = []
    if CHANNEL_SESSION in needs:
        is_own = hasattr(settings, "CHANNEL_SESSION_ENGINE")
        name = "CHANNEL_SESSION_ENGINE" if is_own else "SESSION_ENGINE"
        messages += _check_engine(layer, name)
    if HTTP_SESSION in needs:
        if CHANNEL_SESSION not in needs or name != "SESSION_ENGINE":
            messages += _check_engine(layer, "SESSION_ENGINE")
        messages += _check_middleware(layer)
    if USER in needs and not apps.is_installed("django.contrib.auth"):
        messages.append(_not_installed(layer, "users", "django.contrib.auth"))
    if ORDER in needs:
        messages += _check_order(layer)
    return messages


def _check_engine(layer, name):
    from django.channels.session_stores import get_store

    engine = getattr(settings, name)
    try:
        store = get_store(engine)
    except (ImportError, AttributeError) as error:
        return [
            Error(
                f"Consumers of channel layer {layer} use sessions, and {name} "
                f"{engine!r} cannot be imported: {error}",
                id="channels.E007",
            )
        ]
    except ValueError as error:
        return [
            Error(
                f"Consumers of channel layer {layer} use sessions, and {name} is "
                f"{engine!r}: {error}",
                hint="django.contrib.sessions.backends.db is an engine that works.",
                id="channels.E007",
            )
        ]
    if hasattr(store, "get_model_class") and not _has_model(store):
        app = "django.contrib.sessions"
        return [_not_installed(layer, f"sessions of {engine}", app)]
    return []


def _has_model(store):
    try:
        store.get_model_class()
    except RuntimeError:
        # What Django raises for a model whose application is not installed.
        return False
    return True


def _not_installed(layer, what, app):
    return Error(
        f"Consumers of channel layer {layer} use {what}, and {app!r} is not in "
        f"INSTALLED_APPS.",
        id="channels.E008",
    )


def _check_middleware(layer):
    wanted = import_string(SESSION_MIDDLEWARE)
    if any(_is_subclass(name, wanted) for name in settings.MIDDLEWARE):
        return []
    return [
        Warning(
            f"Consumers of channel layer {layer} use the sessions of browsers, and "
            f"{SESSION_MIDDLEWARE!r} is not in MIDDLEWARE: no view makes any.",
            id="channels.W009",
        )
    ]


def _is_subclass(name, wanted):
    try:
        middleware = import_string(name)
    except ImportError:
        # The first request says so.
        return False
    return isinstance(middleware, type) and issubclass(middleware, wanted)


def _check_order(layer):
    try:
        seconds = get_limits()["WEBSOCKET_ORDER_SECONDS"]
    except ChannelsError:
        # See check_limits().
        return []
    if seconds is None or layer.local_only() or seconds >= layer.expiry:
        return []
    return [
        Warning(
            f"Consumers of channel layer {layer} enforce order, and "
            f"CHANNEL_LIMITS['WEBSOCKET_ORDER_SECONDS'] is {seconds}: a message may "
            f"wait for {layer.expiry} s in the layer, and then be consumed after a "
            f"later one.",
            hint="Set the limit to the layer's expiry at least.",
            id="channels.W010",
        )
    ]
