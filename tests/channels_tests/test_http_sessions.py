from django.channels import Message
from django.channels.sessions import (
    channel_and_http_session,
    http_session,
    session_for_reply_channel,
)
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import override_settings

from .session_case import BACKENDS, SessionTestCase
from .socket_messages import REPLY_CHANNEL


class HttpSessionTests(SessionTestCase):
    def seen_by(self, message, decorator=http_session):
        seen = []
        decorator(lambda message: seen.append(message.http_session))(message)
        return seen[0]

    def test_the_cookie_names_the_session(self):
        session = self.make_http_session(a=1)
        cookie = f'x=1; {settings.SESSION_COOKIE_NAME}="{session.session_key}"; y=2'
        for cookie in (cookie, f"{settings.SESSION_COOKIE_NAME}={session.session_key}"):
            with self.subTest(cookie=cookie):
                seen = self.seen_by(self.connect(cookie=cookie.encode()))
                self.assertEqual(dict(seen.items()), {"a": 1})

    def test_without_a_session_it_is_none(self):
        for cookie in (None, b"", b"sessionid", b"sessionid=", b"sessionid=short"):
            with self.subTest(cookie=cookie):
                self.assertIsNone(self.seen_by(self.connect(cookie=cookie)))
        for key in ("x" * 32, "\xff" * 32, r'"%s\000"' % ("x" * 32), "../" * 10):
            with self.subTest(key=key):
                cookie = f"sessionid={key}".encode("latin1")
                self.assertIsNone(self.seen_by(self.connect(cookie=cookie)))
        self.assertEqual(Session.objects.count(), 0)

    def test_on_messages_without_headers_it_is_none(self):
        self.assertIsNone(self.seen_by(self.message()))

    def test_a_key_in_the_url_is_not_looked_at(self):
        mine, other = self.make_http_session(a=1), self.make_http_session(a=2)
        query = f"session_key={other.session_key}".encode()
        seen = self.seen_by(
            self.connect(session_key=mine.session_key, query_string=query)
        )
        self.assertEqual(seen["a"], 1)
        self.assertIsNone(self.seen_by(self.connect(query_string=query)))

    def test_the_key_of_a_channel_session_is_no_cookie(self):
        for engine in ("db", "cached_db", "cache"):
            with (
                self.subTest(engine=engine),
                override_settings(SESSION_ENGINE=f"{BACKENDS}.{engine}"),
            ):
                session = session_for_reply_channel(REPLY_CHANNEL)
                session["_auth_user_id"] = "1"
                session.save()
                seen = self.seen_by(self.connect(session_key=session.session_key))
                self.assertEqual(dict((seen or {}).items()), {})

    def test_a_message_of_no_connection_is_an_error(self):
        message = Message({"reply_channel": REPLY_CHANNEL}, "thumbnails", self.layer)
        with self.assertRaisesMessage(
            ValueError, "http_session needs a message of HTTP or of a socket"
        ):
            self.seen_by(message)

    def test_changes_are_stored_if_the_consumer_succeeds(self):
        session = self.make_http_session(a=1)

        @http_session
        def consumer(message, error=None):
            message.http_session["b"] = 2
            if error:
                message.http_session["c"] = 3
                raise error

        consumer(self.connect(session_key=session.session_key))
        with self.assertRaises(KeyError):
            consumer(self.connect(session_key=session.session_key), error=KeyError())
        fresh = type(session)(session.session_key)
        self.assertEqual(dict(fresh.items()), {"a": 1, "b": 2})

    def test_changes_that_a_view_made_meanwhile_stay(self):
        session = self.make_http_session(a=1, gone=1)

        @http_session
        def consumer(message):
            message.http_session["b"] = 2
            del message.http_session["gone"]
            view = type(session)(session.session_key)
            view["a"] = 10
            view.save()

        consumer(self.connect(session_key=session.session_key))
        fresh = type(session)(session.session_key)
        self.assertEqual(dict(fresh.items()), {"a": 10, "b": 2})

    def test_a_session_that_was_deleted_meanwhile_stays_so(self):
        session = self.make_http_session(a=1)

        @http_session
        def consumer(message):
            message.http_session["b"] = 2
            session.delete()

        with self.assertLogs("django.channels.sessions", "WARNING"):
            consumer(self.connect(session_key=session.session_key))
        self.assertEqual(Session.objects.count(), 0)

    def test_later_messages_have_the_session_of_the_connect(self):
        session = self.make_http_session(a=1)
        both = channel_and_http_session
        self.seen_by(self.connect(session_key=session.session_key), both)
        self.assertEqual(self.seen_by(self.message(), both)["a"], 1)

        @channel_and_http_session
        def consumer(message):
            message.http_session["b"] = 2

        consumer(self.message())
        self.assertEqual(type(session)(session.session_key)["b"], 2)
        session.delete()
        self.assertIsNone(self.seen_by(self.message(), both))
