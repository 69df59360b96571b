"""
Sessions of connections, and the sessions of the browsers behind them.

In: messages, from the decorated consumers. Out: the stores of the session
engines, see session_stores.py.
"""

import logging
from contextlib import contextmanager, suppress

from django.channels.decorating import decorator
from django.channels.exceptions import ConsumeLater
from django.channels.needs import CHANNEL_SESSION, HTTP_SESSION, needs_of_router
from django.channels.ordering import enforce_ordering
from django.channels.session_stores import get_store
from django.channels.signals import consumer_finished
from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.db import close_old_connections
from django.http import parse_cookie
from django.utils.crypto import salted_hmac

__all__ = [
    "channel_and_http_session",
    "channel_session",
    "enforce_ordering",
    "http_session",
    "session_for_reply_channel",
]

# What the keys of channel sessions begin with, and how long they are.
KEY_PREFIX = "chn"
KEY_LENGTH = 32

logger = logging.getLogger("django.channels.sessions")


def session_for_reply_channel(reply_channel):
    """
    Return the session of the connection with this reply channel, a str.

    It is stored by CHANNEL_SESSION_ENGINE, which is SESSION_ENGINE unless set.
    Its key follows from the name and SECRET_KEY, or one of SECRET_KEY_FALLBACKS if it
    began under that; nobody else can tell it. Raise ValueError for the engine that
    keeps sessions in cookies.
    """
    engine = getattr(settings, "CHANNEL_SESSION_ENGINE", settings.SESSION_ENGINE)
    store = get_store(engine, for_channels=True)
    session = store(_key_for(reply_channel, settings.SECRET_KEY))
    if settings.SECRET_KEY_FALLBACKS and not session.exists(session.session_key):
        for secret in settings.SECRET_KEY_FALLBACKS:
            key = _key_for(reply_channel, secret)
            if session.exists(key):
                return store(key)
    return session


def _key_for(reply_channel, secret):
    digest = salted_hmac(
        __name__, str(reply_channel), secret=secret, algorithm="sha256"
    ).hexdigest()
    return (KEY_PREFIX + digest)[:KEY_LENGTH]


@contextmanager
def _channel_session(message, ahead):
    """
    Give a consumer ``message.channel_session``, the session of its connection.

    It is read when it is first used and stored when the consumer ends, also with
    an exception, if it was changed. It is deleted when the socket ends.
    """
    if hasattr(message, "channel_session"):
        # Decorated twice: the outer one stores it.
        yield
        return
    if message.reply_channel is None:
        raise ValueError(
            f"channel_session needs a message with a reply channel, and "
            f"{message!r} has none."
        )
    session = session_for_reply_channel(message.reply_channel.name)
    message.channel_session = session
    if ahead:
        _load(session)
    try:
        yield
    except BaseException as error:
        _end_failed(message, session, error)
        raise
    if message.get("type") == "websocket.connect":
        _begin(session)
    _end(message, session)


def _load(session):
    session.keys()


def _begin(session):
    """Have a session from the connect on: its absence later means the end."""
    if not session.modified and not session.existed:
        with suppress(CreateError):
            session.save(must_create=True)


def _end(message, session):
    if message.get("type") == "websocket.disconnect":
        session.delete()
    else:
        _store(message, session)


def _end_failed(message, session, error):
    """Keep what the consumer changed before it failed; its error comes first."""
    try:
        if isinstance(error, ConsumeLater):
            # Also on websocket.disconnect: it comes again.
            _store(message, session)
        else:
            _end(message, session)
    except Exception:
        logger.exception("Cannot store the session of %s.", message.reply_channel)


def _store(message, session):
    if not session.modified or session.session_key is None:
        return
    try:
        session.save()
    except UpdateError:
        logger.debug("%s ended; its session is gone.", message.reply_channel)
    except CreateError as error:
        raise ConsumeLater(
            f"The session of {message.reply_channel} is being made by others."
        ) from error


@contextmanager
def _http_session(message, ahead):
    """
    Give a consumer ``message.http_session``, the session of the browser.

    Its key comes from the session cookie in the headers of the message, never
    from the URL. It is None if there is no such session, and on messages without
    headers. It is stored when the consumer succeeds, if it was changed.
    """
    if hasattr(message, "http_session"):
        yield
        return
    if "path" not in message:
        raise ValueError(
            f"http_session needs a message of HTTP or of a socket, not {message!r}."
        )
    message.http_session = get_http_session(_cookie_key(message.get("headers", ())))
    yield
    _store_http(message)


def get_http_session(key):
    """Return the session that a browser has under a key, None if there is none."""
    store = get_store(settings.SESSION_ENGINE)
    # What no engine makes is no key; databases refuse some of it.
    if not key or not (key.isascii() and key.isprintable()):
        return None
    session = store(key)
    _load(session)
    return session if session.existed else None


def _cookie_key(headers):
    """Return the value of the session cookie, the last one as for views, or None."""
    cookies = [value.decode("latin1") for name, value in headers if name == b"cookie"]
    return parse_cookie("; ".join(cookies)).get(settings.SESSION_COOKIE_NAME)


def _store_http(message):
    session = message.http_session
    if session is None or not session.modified or session.session_key is None:
        return
    try:
        session.save()
    except UpdateError:
        # As by a logout: what is deleted stays so.
        logger.warning("A session was not stored, because it was deleted meanwhile.")


@contextmanager
def _channel_and_http_session(message, ahead):
    """
    Give a consumer ``message.channel_session`` and ``message.http_session``.

    The connect remembers which the browser's session is, so that the later
    messages of the socket, which have no headers, have it as well. It is None
    once the browser's session is gone.
    """
    with _channel_session(message, ahead):
        session = message.channel_session
        if hasattr(message, "http_session"):
            yield
        elif "headers" in message:
            with _http_session(message, ahead):
                _remember_http(message, session)
                yield
        else:
            key = session.get(settings.SESSION_COOKIE_NAME)
            message.http_session = get_http_session(key)
            yield
            _store_http(message)


def _remember_http(message, session):
    if message.http_session is not None:
        session[settings.SESSION_COOKIE_NAME] = message.http_session.session_key


def _delete_with_socket(sender, message=None, comes_again=False, **kwargs):
    """Delete the session of a socket whose disconnect went to no decorated consumer."""
    if (
        message is None
        or message.channel.name != "websocket.disconnect"
        or message.reply_channel is None
        or comes_again
        # See _end().
        or hasattr(message, "channel_session")
    ):
        return
    try:
        # Where no consumer has a session, no store is asked.
        if CHANNEL_SESSION in needs_of_router(message.channel_layer.router):
            session_for_reply_channel(message.reply_channel.name).delete()
            # The others were closed before.
            close_old_connections()
    except Exception:
        logger.exception("Cannot delete the session of %s.", message.reply_channel)


channel_and_http_session = decorator(
    _channel_and_http_session, CHANNEL_SESSION, HTTP_SESSION
)
channel_session = decorator(_channel_session, CHANNEL_SESSION)
http_session = decorator(_http_session, HTTP_SESSION)

consumer_finished.connect(_delete_with_socket)
