from importlib import import_module

from asgiref.sync import iscoroutinefunction

from django.channels import Message, route
from django.channels.exceptions import ConsumeLater
from django.channels.routing import null_consumer
from django.channels.sessions import (
    channel_session,
    http_session,
    session_for_reply_channel,
)
from django.channels.worker import Worker
from django.contrib.sessions.models import Session
from django.test import SimpleTestCase, override_settings

from .layers import make_layer
from .session_case import BACKENDS, SessionTestCase
from .socket_messages import REPLY_CHANNEL, connect_message
from .utils import patch_for


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

    def test_a_session_outlives_a_change_of_the_secret_key(self):
        old = {"SECRET_KEY": "old", "SECRET_KEY_FALLBACKS": []}
        new = {"SECRET_KEY": "new", "SECRET_KEY_FALLBACKS": ["older", "old"]}

        @channel_session
        def consumer(message):
            message.channel_session["n"] = message.channel_session.get("n", 0) + 1

        for settings, n in (old, 1), (new, 2), (new, 3):
            with self.subTest(n=n), override_settings(**settings):
                consumer(self.message())
                self.assertEqual(self.stored(), {"n": n})
        with override_settings(**new):
            session_for_reply_channel(REPLY_CHANNEL).delete()
            self.assertEqual(Session.objects.count(), 0)
            # What begins now is nothing that the old key is needed for.
            consumer(self.message())
        with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[]):
            self.assertEqual(self.stored(), {"n": 1})

    def test_without_a_decorator_the_error_says_where_they_are(self):
        message = connect_message(make_layer())
        for name, module in (
            ("channel_session", "sessions"),
            ("http_session", "sessions"),
            ("user", "auth"),
        ):
            msg = (
                f"'Message' object has no attribute '{name}': give it one by a "
                f"decorator of django.channels.{module} on its consumer"
            )
            with self.subTest(name=name):
                self.assertIs(hasattr(message, name), False)
                with self.assertRaisesMessage(AttributeError, msg):
                    getattr(message, name)
        with self.assertRaises(AttributeError) as caught:
            message.usr
        self.assertEqual(
            str(caught.exception), "'Message' object has no attribute 'usr'"
        )

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
