"""
How sockets end with the login they were opened with.

In: sockets of known users, from auth.py; logins, logouts, and changes of users, by
Django's signals. Out: a close for each socket concerned, through groups.

checks.py imports this module, so that the receivers are there in every process
that changes users, whatever serves the sockets.
"""

import logging

from django.apps import apps
from django.channels.channel import Group
from django.channels.layers import channel_layers
from django.conf import settings
from django.core.signals import setting_changed
from django.db import router, transaction
from django.db.models.signals import (
    class_prepared,
    post_delete,
    post_init,
    post_save,
)
from django.utils.crypto import salted_hmac

# The close code of a socket whose login ended: "Unauthorized" in the registry of
# RFC 6455, section 11.7.
CLOSE_CODE = 3000
# What of a user, if it changes, ends what was opened before.
CREDENTIALS = ("password", "is_active")
# Where a session keeps the key that it had when its login began: another SECRET_KEY
# gives it another one.
_FIRST_KEY = "_channels_first_key"
# Where a user keeps what these were when it was loaded.
_LOADED = "_channels_credentials"

logger = logging.getLogger("django.channels.auth")


def watch_socket(message, user_id, session=None):
    """
    Have the socket of a message closed when its login ends.

    ``user_id`` is what sessions store, a str; ``session`` is the browser's, if the
    login came from there.
    """
    layer = message.channel_layer
    if session is not None:
        group = _session_groups(_first_key(session))[0]
        layer.group_add(group, message.reply_channel.name)
    layer.group_add(_user_groups(user_id)[0], message.reply_channel.name)


def end_socket(reply_channel):
    """Close the socket of a reply channel, a Channel."""
    reply_channel.send({"close": CLOSE_CODE}, immediately=True)


def end_sockets(user):
    """
    Close every socket that was opened with the login of a user.

    It happens when the transaction commits. Call it after changes that send no
    signals, such as QuerySet.update().
    """
    groups = _user_groups(user._meta.pk.value_to_string(user))
    _close_all(groups, user._state.db)


def _close_all(groups, using=None):
    def close():
        for alias in channel_layers:
            try:
                layer = channel_layers[alias]
                for group in groups:
                    Group(group, channel_layer=layer).send(
                        {"close": CLOSE_CODE}, immediately=True
                    )
            except Exception:
                # A logout is one, whatever a layer is up to.
                logger.exception("Cannot end the sockets of a login on %r.", alias)

    transaction.on_commit(close, using=using)


def _first_key(session):
    """Return the key that a session had when its login began."""
    return session.get(_FIRST_KEY) or session.session_key


def _user_groups(user_id):
    return _names("user", user_id)


def _session_groups(session_key):
    return _names("session", session_key)


def _names(kind, value):
    """
    Return the group for a value, and those that processes with older keys use.

    The name tells nobody the value, nor can it be made from one.
    """
    return [
        f"channels.{kind}.{_digest(kind, value, secret)}"
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    ]


def _digest(kind, value, secret):
    salt = f"{__name__}.{kind}"
    return salted_hmac(salt, value, secret=secret, algorithm="sha256").hexdigest()


def _receivers(model):
    from django.contrib.auth.signals import user_logged_in, user_logged_out

    return [
        (user_logged_in, _begin_login, None),
        (user_logged_out, _end_session, None),
        (post_init, _remember, model),
        (post_save, _end_if_changed, model),
        (post_delete, _end_deleted, model),
    ]


def _follow(model):
    """Connect the receivers if there are layers that a socket could be on."""
    for signal, receiver, sender in _receivers(model):
        if settings.CHANNEL_LAYERS:
            signal.connect(receiver, sender=sender)
        else:
            signal.disconnect(receiver, sender=sender)


def _begin(sender, **kwargs):
    # Migrations make classes of the same name, which are not the model.
    is_real = sender._meta.apps is apps
    if is_real and settings.CHANNEL_LAYERS:
        if sender._meta.label == settings.AUTH_USER_MODEL:
            _follow(sender)


def _begin_again(setting, **kwargs):
    if setting == "CHANNEL_LAYERS" and apps.is_installed("django.contrib.auth"):
        _follow(apps.get_model(settings.AUTH_USER_MODEL))


def _begin_login(request, **kwargs):
    from django.channels.session_stores import is_in_cookie
    from django.contrib.auth import SESSION_KEY

    session = getattr(request, "session", None)
    if session is None or SESSION_KEY not in session:
        # A login by other means, as by a token.
        return
    if is_in_cookie(type(session)):
        # No socket has such a session, and its key is all that is in it.
        return
    if session.session_key is None:
        session.save()
    session.setdefault(_FIRST_KEY, session.session_key)
    # What the browser opened as somebody else: login() has ended that, too.
    before = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    if before and before != session.session_key:
        _close_all(_session_groups(before), _database_of(session))


def _end_session(request, **kwargs):
    session = getattr(request, "session", None)
    key = getattr(session, "session_key", None)
    if key is None:
        return
    # Gone before anybody is told: a socket that opens now finds either. What was
    # loaded stays for other receivers, until logout() drops it.
    first_key = _first_key(session)
    session.delete(key)
    _close_all(_session_groups(first_key), _database_of(session))


def _database_of(session):
    """Return the alias of the database that has a session, None if none has."""
    model = getattr(session, "model", None)
    return None if model is None else router.db_for_write(model)


def _remember(instance, **kwargs):
    instance.__dict__[_LOADED] = _credentials_of(instance)


def _credentials_of(user):
    """Return what is loaded of it, as what is deferred stays so."""
    return {name: user.__dict__.get(name) for name in CREDENTIALS}


def _end_if_changed(instance, created, using, update_fields, **kwargs):
    before, now = instance.__dict__.get(_LOADED, {}), _credentials_of(instance)
    stored = set(CREDENTIALS if update_fields is None else update_fields)
    changed = {name for name in CREDENTIALS if before.get(name) != now[name]} & stored
    instance.__dict__[_LOADED] = {**before, **{name: now[name] for name in changed}}
    if changed and not created:
        _close_all(_user_groups(instance._meta.pk.value_to_string(instance)), using)


def _end_deleted(instance, using, **kwargs):
    _close_all(_user_groups(instance._meta.pk.value_to_string(instance)), using)


class_prepared.connect(_begin)
setting_changed.connect(_begin_again)
