"""
Who is at the other end of a connection.

In: messages, from the decorated consumers. Out: users, from the authentication
backends. Sockets of a user who is known are watched by revocation.py.
"""

from contextlib import contextmanager
from functools import partial

from django.channels.decorating import decorator
from django.channels.needs import CHANNEL_SESSION, HTTP_SESSION, USER
from django.channels.revocation import end_socket, end_sockets, watch_socket
from django.channels.sessions import (
    channel_and_http_session,
    channel_session,
    http_session,
)
from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.utils.crypto import constant_time_compare
from django.utils.functional import SimpleLazyObject

__all__ = [
    "channel_and_http_session_user_from_http",
    "channel_session_user",
    "channel_session_user_from_http",
    "end_sockets",
    "http_session_user",
    "transfer_user",
]

# What a session keeps of a login.
_LOGIN_KEYS = (BACKEND_SESSION_KEY, SESSION_KEY, HASH_SESSION_KEY)
# Where a channel session keeps whose login the socket is watched for.
_WATCHED_KEY = "_channels_watched"


def transfer_user(from_session, to_session):
    """Have a session belong to whom another one belongs to, or to nobody."""
    for key in _LOGIN_KEYS:
        value = from_session.get(key)
        if value is None and key in to_session:
            del to_session[key]
        elif value is not None and to_session.get(key) != value:
            to_session[key] = value


def get_user(session):
    """
    Return the user that a session belongs to, else AnonymousUser.

    A login that a later change of the password has ended belongs to nobody. The
    session stays as it is: nothing could tell a browser of another key.
    """
    from django.contrib.auth.models import AnonymousUser

    user, user_id = None, session.get(SESSION_KEY)
    backend = session.get(BACKEND_SESSION_KEY)
    if user_id is not None and backend in settings.AUTHENTICATION_BACKENDS:
        user_id = get_user_model()._meta.pk.to_python(user_id)
        user = load_backend(backend).get_user(user_id)
    return user if user and _is_verified(session, user) else AnonymousUser()


def _is_verified(session, user):
    if not hasattr(user, "get_session_auth_hash"):
        return True
    stored = session.get(HASH_SESSION_KEY) or ""
    return constant_time_compare(stored, user.get_session_auth_hash()) or any(
        constant_time_compare(stored, older)
        for older in user.get_session_auth_fallback_hash()
    )


def _user_of(session, channel, reply_channel):
    """Return a session's user; close the socket of one whose login has ended."""
    user = get_user(session)
    if SESSION_KEY in session and not user.is_authenticated:
        _end_later(channel, reply_channel)
    return user


def _end_later(channel, reply_channel):
    """Close the socket of a message, unless it begins or ends with it."""
    if channel.name in ("websocket.receive", "websocket.gap"):
        end_socket(reply_channel)


def _set_user(message, session, ahead):
    if session is None or SESSION_KEY not in session:
        session = {}
    # Without the message, which would keep itself by way of its user.
    message.user = SimpleLazyObject(
        partial(_user_of, session, message.channel, message.reply_channel)
    )
    if ahead:
        message.user.is_authenticated


def _is_connect(message):
    return message.channel.name == "websocket.connect"


def _watch_http(message):
    """Watch a socket that comes with a login, and see that the login still is."""
    session = message.http_session
    if session is None or SESSION_KEY not in session or not _is_connect(message):
        return
    watch_socket(message, session[SESSION_KEY], session)
    # Whoever logs out from here on finds the socket; who did before left nothing.
    if not session.exists(session.session_key):
        message.http_session = None


def _watch_channel(message):
    """Watch a socket once, if somebody has logged it in."""
    session = message.channel_session
    user_id = session.get(SESSION_KEY)
    is_of_socket = message.channel.name.startswith("websocket.")
    if is_of_socket and user_id != session.get(_WATCHED_KEY):
        if user_id is not None:
            watch_socket(message, user_id)
        session[_WATCHED_KEY] = user_id


@contextmanager
def _http_session_user(message, ahead):
    """
    Give a consumer ``message.user``, whom the browser's session belongs to.

    See http_session() for the session. The user is AnonymousUser if there is
    none, and looked up when it is first used.
    """
    with http_session.around(message, ahead):
        _watch_http(message)
        _set_user(message, message.http_session, ahead)
        yield


@contextmanager
def _channel_session_user(message, ahead):
    """
    Give a consumer ``message.user``, whom the channel session belongs to.

    See channel_session() for the session. A socket whose login has ended since
    is closed when ``message.user`` is used.
    """
    with channel_session.around(message, ahead):
        _watch_channel(message)
        _set_user(message, message.channel_session, ahead)
        yield
        _watch_channel(message)


@contextmanager
def _channel_session_user_from_http(message, ahead):
    """
    As channel_session_user(), after the connect took the user from the browser.
    """
    with http_session.around(message, ahead), channel_session.around(message, ahead):
        _watch_http(message)
        if message.http_session is not None:
            _transfer(message)
        with channel_session_user.around(message, ahead):
            yield


@contextmanager
def _channel_and_http_session_user_from_http(message, ahead):
    """
    As channel_session_user_from_http(), with both sessions on each message.

    The user is whom the browser's session belongs to now.
    """
    with channel_and_http_session.around(message, ahead):
        _watch_http(message)
        if message.http_session is not None:
            _transfer(message)
        elif settings.SESSION_COOKIE_NAME in message.channel_session:
            transfer_user({}, message.channel_session)
            _end_later(message.channel, message.reply_channel)
        with channel_session_user.around(message, ahead):
            yield


def _transfer(message):
    session = message.channel_session
    transfer_user(message.http_session, session)
    if _is_connect(message):
        session[_WATCHED_KEY] = session.get(SESSION_KEY)


_ALL = CHANNEL_SESSION, HTTP_SESSION, USER

channel_and_http_session_user_from_http = decorator(
    _channel_and_http_session_user_from_http, *_ALL
)
channel_session_user = decorator(_channel_session_user, CHANNEL_SESSION, USER)
channel_session_user_from_http = decorator(_channel_session_user_from_http, *_ALL)
http_session_user = decorator(_http_session_user, HTTP_SESSION, USER)
