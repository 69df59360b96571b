import shutil
import tempfile
from importlib import import_module

from asgiref.sync import iscoroutinefunction

from django.channels import Message, route
from django.channels.exceptions import ConsumeLater
from django.channels.routing import null_consumer
from django.channels.session_stores import get_store
from django.channels.sessions import (
    channel_and_http_session,
    channel_session,
    http_session,
    session_for_reply_channel,
)
from django.channels.worker import Worker
from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.models import Session
from django.test import SimpleTestCase, TestCase, override_settings

from .layers import make_layer
from .socket_messages import REPLY_CHANNEL, connect_message, socket_message
from .utils import patch_for

BACKENDS = "django.contrib.sessions.backends"


class SessionTestCase(TestCase):
    def setUp(self):
        self.layer = make_layer()

    def message(self, channel="websocket.receive", **content):
        return socket_message(self.layer, channel, **content)

    def connect(self, **content):
        return connect_message(self.layer, **content)

    def stored(self):
        """Return what is stored for the test's socket."""
        return dict(session_for_reply_channel(REPLY_CHANNEL).items())

    def make_http_session(self, **data):
        """Return the stored session of a browser."""
        store = import_module(settings.SESSION_ENGINE).SessionStore()
        store.update(data)
        store.save()
        return store


class KeyTests(SimpleTestCase):
    def test_the_key_follows_from_the_name(self):
        one, same, other = map(session_for_reply_channel, ["a!b", "a!b", "a!c"])
        self.assertEqual(one.session_key, same.session_key)
        self.assertNotEqual(one.session_key, other.session_key)
        self.assertRegex(one.session_key, "^chn[0-9a-f]{29}$")

    def test_the_key_cannot_be_told_without_the_secret_key(self):
        key = session_for_reply_channel("a!b").session_key
        with override_settings(SECRET_KEY="another"):
            self.assertNotEqual(session_for_reply_channel("a!b").session_key, key)

    @override_settings(
        SESSION_ENGINE=f"{BACKENDS}.signed_cookies",
        CHANNEL_SESSION_ENGINE=f"{BACKENDS}.cache",
    )
    def test_channel_session_engine_wins(self):
        store = import_module(f"{BACKENDS}.cache").SessionStore
        self.assertIsInstance(session_for_reply_channel("a!b"), store)

    @override_settings(SESSION_ENGINE=f"{BACKENDS}.signed_cookies")
    def test_signed_cookies_are_refused(self):
        msg = (
            "You cannot use channels session functionality with signed cookie "
            "sessions!"
        )
        with self.assertRaisesMessage(ValueError, msg):
            session_for_reply_channel("a!b")
        message = connect_message(make_layer(), session_key="x" * 32)
        with self.assertRaisesMessage(ValueError, msg):
            http_session(lambda message: None)(message)


class DecoratorTests(SessionTestCase):
    def test_a_session_is_kept_from_message_to_message(self):
        @channel_session
        def consumer(message):
            message.channel_session["n"] = message.channel_session.get("n", 0) + 1

        for number in range(1, 4):
            consumer(self.message())
            self.assertEqual(self.stored(), {"n": number})

    def test_methods_are_decorated_as_functions_are(self):
        class Consumers:
            @channel_session
            def receive(self, message, value):
                message.channel_session["value"] = value
                return self

        consumers = Consumers()
        self.assertIs(consumers.receive(self.message(), value=1), consumers)
        self.assertEqual(self.stored(), {"value": 1})

    def test_a_decorator_keeps_name_and_docstring(self):
        @channel_session
        def consumer(message):
            """Consume."""

        self.assertEqual(consumer.__name__, "consumer")
        self.assertEqual(consumer.__doc__, "Consume.")
        self.assertEqual(channel_session.__name__, "channel_session")
        self.assertIn("message.channel_session", channel_session.__doc__)

    def test_decorated_twice_it_is_one_session(self):
        @channel_session
        @channel_session
        def consumer(message):
            message.channel_session["a"] = 1

        consumer(self.message())
        self.assertEqual(self.stored(), {"a": 1})

    def test_what_was_changed_before_an_exception_is_stored(self):
        @channel_session
        def consumer(message):
            message.channel_session["a"] = 1
            raise KeyError("broken")

        with self.assertRaisesMessage(KeyError, "broken"):
            consumer(self.message())
        self.assertEqual(self.stored(), {"a": 1})

    def test_a_store_that_fails_does_not_hide_the_consumers_error(self):
        @channel_session
        def consumer(message):
            message.channel_session["a"] = object()
            raise KeyError("broken")

        with self.assertLogs("django.channels.sessions", "ERROR") as logs:
            with self.assertRaisesMessage(KeyError, "broken"):
                consumer(self.message())
        self.assertIn(f"Cannot store the session of {REPLY_CHANNEL}.", logs.output[0])

    def test_an_unused_session_asks_no_store(self):
        with self.assertNumQueries(0):
            channel_session(lambda message: None)(self.message())

    def test_a_connect_leaves_a_session_even_if_it_is_empty(self):
        channel_session(lambda message: None)(self.connect())
        self.assertEqual(self.stored(), {})
        self.assertEqual(Session.objects.count(), 1)
        # As when the connect is tried again.
        channel_session(lambda message: None)(self.connect())
        self.assertEqual(Session.objects.count(), 1)

    def test_a_message_without_a_reply_channel_is_an_error(self):
        message = Message({}, "thumbnails", self.layer)
        with self.assertRaisesMessage(
            ValueError, "channel_session needs a message with a reply channel"
        ):
            channel_session(lambda message: None)(message)

    def test_what_is_called_without_a_message_is_an_error(self):
        @channel_session
        def consumer(one, two, message):
            raise AssertionError("Called.")

        for args in ((), (1,), (1, 2, self.message())):
            with self.subTest(args=args):
                with self.assertRaisesMessage(
                    ValueError, "consumer' is decorated as a consumer, but was called"
                ):
                    consumer(*args)

    async def test_an_async_consumer_has_its_session_loaded(self):
        @channel_session
        async def consumer(message):
            message.channel_session["n"] = message.channel_session.get("n", 0) + 1
            return message.channel_session["n"]

        self.assertIs(iscoroutinefunction(consumer), True)
        self.assertEqual(await consumer(self.message()), 1)
        self.assertEqual(await consumer(self.message()), 2)

    async def test_an_async_consumer_that_fails_keeps_its_error(self):
        @channel_session
        async def consumer(message):
            message.channel_session["a"] = 1
            raise KeyError("broken")

        with self.assertRaisesMessage(KeyError, "broken"):
            await consumer(self.message())
        stored = session_for_reply_channel(REPLY_CHANNEL)
        self.assertEqual(await stored.aget("a"), 1)


class EndTests(SessionTestCase):
    def store(self):
        session = session_for_reply_channel(REPLY_CHANNEL)
        session["a"] = 1
        session.save()
        return session

    def test_a_disconnect_has_the_session_and_deletes_it(self):
        self.store()
        seen = []

        @channel_session
        def consumer(message):
            seen.append(message.channel_session["a"])
            message.channel_session["b"] = 2

        consumer(self.message("websocket.disconnect"))
        self.assertEqual(seen, [1])
        self.assertEqual(Session.objects.count(), 0)

    def test_a_disconnect_that_fails_deletes_it(self):
        self.store()

        @channel_session
        def consumer(message):
            raise KeyError("broken")

        with self.assertRaisesMessage(KeyError, "broken"):
            consumer(self.message("websocket.disconnect"))
        self.assertEqual(Session.objects.count(), 0)

    def test_a_disconnect_that_comes_again_keeps_it(self):
        self.store()

        @channel_session
        def consumer(message):
            message.channel_session["tries"] = 1
            raise ConsumeLater

        with self.assertRaises(ConsumeLater):
            consumer(self.message("websocket.disconnect"))
        self.assertEqual(self.stored(), {"a": 1, "tries": 1})

    def consume_disconnect(self, consumer, connect=channel_session(null_consumer)):
        """Have a worker consume a disconnect of a socket with a session."""
        self.store()
        routing = [
            route("websocket.connect", connect),
            route("websocket.disconnect", consumer),
        ]
        content = self.message("websocket.disconnect").content
        Worker(make_layer(routing)).consume("websocket.disconnect", dict(content))

    def test_a_disconnect_that_nobody_decorated_deletes_it(self):
        self.consume_disconnect(null_consumer)
        self.assertEqual(Session.objects.count(), 0)

    def test_so_does_one_that_fails(self):
        with self.assertLogs("django.channels.worker", "ERROR"):
            self.consume_disconnect(lambda message: {}[0])
        self.assertEqual(Session.objects.count(), 0)

    def test_one_that_comes_again_does_not(self):
        def consumer(message):
            raise ConsumeLater

        self.consume_disconnect(consumer)
        self.assertEqual(Session.objects.count(), 1)

    def test_where_no_consumer_has_a_session_no_store_is_asked(self):
        self.consume_disconnect(null_consumer, connect=null_consumer)
        self.assertEqual(Session.objects.count(), 1)

    def test_a_store_that_is_away_leaves_the_worker_alone(self):
        def delete(store):
            raise OSError("The store is away.")

        patch_for(self, type(self.store()), "delete", delete)
        Session.objects.all().delete()
        with self.assertLogs("django.channels.sessions", "ERROR") as logs:
            self.consume_disconnect(null_consumer)
        self.assertIn("Cannot delete the session of", logs.output[0])

    def test_a_consumer_that_ends_after_the_socket_does_not_bring_it_back(self):
        self.store()

        @channel_session
        def consumer(message):
            message.channel_session["b"] = 2
            channel_session(lambda message: None)(self.message("websocket.disconnect"))

        consumer(self.message())
        self.assertEqual(Session.objects.count(), 0)


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


class RaceTests(SessionTestCase):
    """Two consumers of one socket, in different workers, at the same time."""

    def run_both(self):
        @channel_session
        def inner(message):
            message.channel_session["inner"] = 1
            message.channel_session.pop("old", None)

        @channel_session
        def outer(message):
            message.channel_session["outer"] = 1
            inner(self.message())

        outer(self.message())

    def test_what_both_change_is_kept(self):
        self.run_both()
        self.assertEqual(self.stored(), {"inner": 1, "outer": 1})

    def test_what_one_deletes_stays_deleted(self):
        session = session_for_reply_channel(REPLY_CHANNEL)
        session.update({"old": 1, "kept": 1})
        session.save()
        self.run_both()
        self.assertEqual(self.stored(), {"inner": 1, "outer": 1, "kept": 1})

    def test_a_cleared_session_is_empty(self):
        self.run_both()

        @channel_session
        def consumer(message):
            message.channel_session.clear()
            message.channel_session["new"] = 1

        consumer(self.message())
        self.assertEqual(self.stored(), {"new": 1})

    def test_a_session_that_others_make_all_the_time_is_consumed_later(self):
        store = type(session_for_reply_channel(REPLY_CHANNEL))

        def save_all(session, must_create):
            raise CreateError

        patch_for(self, store, "_save_all", save_all)

        @channel_session
        def consumer(message):
            message.channel_session["a"] = 1

        with self.assertRaisesMessage(ConsumeLater, "is being made by others"):
            consumer(self.message())


class EngineTests(SessionTestCase):
    """The engines behave alike."""

    def check(self, engine):
        with override_settings(SESSION_ENGINE=f"{BACKENDS}.{engine}"):
            one, two = (session_for_reply_channel(REPLY_CHANNEL) for _ in range(2))
            one["a"], two["b"] = 1, {"x": [1]}
            one.save()
            two.save()
            self.assertEqual(self.stored(), {"a": 1, "b": {"x": [1]}})
            one = session_for_reply_channel(REPLY_CHANNEL)
            one["b"]["x"].append(2)
            one.save()
            self.assertEqual(self.stored(), {"a": 1, "b": {"x": [1, 2]}})
            two["c"] = 3
            one.delete()
            with self.assertRaises(UpdateError):
                two.save()
            self.assertEqual(self.stored(), {})

    def test_db(self):
        self.check("db")

    def test_cached_db(self):
        self.check("cached_db")

    def test_cache(self):
        self.check("cache")

    def test_file(self):
        path = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, path)
        self.forget_path()
        self.addCleanup(self.forget_path)
        with override_settings(SESSION_FILE_PATH=path):
            self.check("file")

    def forget_path(self):
        base = import_module(f"{BACKENDS}.file").SessionStore
        for store in (base, get_store(f"{BACKENDS}.file", for_channels=True)):
            if "_storage_path" in vars(store):
                del store._storage_path

    def test_an_http_session_is_read_as_the_engine_wrote_it(self):
        for engine in ("db", "cached_db", "cache"):
            with (
                self.subTest(engine=engine),
                override_settings(SESSION_ENGINE=f"{BACKENDS}.{engine}"),
            ):
                key = self.make_http_session(a=1).session_key
                store = get_store(settings.SESSION_ENGINE)
                session = store(key)
                session["b"] = 2
                session.save()
                base = import_module(settings.SESSION_ENGINE).SessionStore
                self.assertEqual(dict(base(key).items()), {"a": 1, "b": 2})
