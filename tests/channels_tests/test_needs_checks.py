from django.channels import route
from django.channels.auth import channel_session_user, channel_session_user_from_http
from django.channels.checks import check_layers
from django.channels.needs_checks import SESSION_MIDDLEWARE, check_needs
from django.channels.ordering import enforce_ordering
from django.channels.session_stores import get_store
from django.channels.sessions import channel_session, http_session
from django.contrib.sessions.middleware import SessionMiddleware
from django.test import SimpleTestCase, modify_settings, override_settings

from .layers import SpanningLayer, layer_settings, make_layer
from .utils import patch_for

BACKENDS = "django.contrib.sessions.backends"


class OwnMiddleware(SessionMiddleware):
    pass


def not_a_class(get_response):
    return get_response


@override_settings(MIDDLEWARE=[SESSION_MIDDLEWARE])
class NeedCheckTests(SimpleTestCase):
    def check(self, decorator, layer_class=SpanningLayer, **options):
        routing = [route("websocket.receive", decorator(lambda message: None))]
        return check_needs(make_layer(routing, layer_class, **options))

    def assertFinds(self, messages, *expected):
        self.assertEqual(len(messages), len(expected), messages)
        for message, (message_id, text) in zip(messages, expected):
            self.assertEqual(message.id, message_id)
            self.assertIn(text, message.msg)

    def test_what_works_is_not_complained_of(self):
        for decorator in (
            channel_session,
            http_session,
            channel_session_user_from_http,
            enforce_ordering,
            lambda consumer: consumer,
        ):
            with self.subTest(decorator=decorator):
                self.assertEqual(self.check(decorator), [])

    def test_sessions_in_cookies_are_an_error_if_they_are_used(self):
        text = "is 'django.contrib.sessions.backends.signed_cookies': You cannot use"
        signed = f"{BACKENDS}.signed_cookies"
        with override_settings(SESSION_ENGINE=signed):
            for decorator in (channel_session, http_session, channel_session_user):
                self.assertFinds(self.check(decorator), ("channels.E007", text))
            self.assertEqual(self.check(enforce_ordering), [])
            with override_settings(CHANNEL_SESSION_ENGINE=f"{BACKENDS}.cache"):
                self.assertEqual(self.check(channel_session_user), [])
                found = self.check(channel_session_user_from_http)
                self.assertFinds(found, ("channels.E007", f"SESSION_ENGINE {text}"))
        with override_settings(CHANNEL_SESSION_ENGINE=signed):
            found = self.check(channel_session_user_from_http)
            self.assertFinds(found, ("channels.E007", f"CHANNEL_SESSION_ENGINE {text}"))

    def test_an_engine_that_cannot_be_imported_is_an_error(self):
        for engine in ("no.such.engine", "django.channels.names"):
            with self.subTest(engine=engine), override_settings(SESSION_ENGINE=engine):
                text = f"SESSION_ENGINE {engine!r} cannot be imported: "
                self.assertFinds(self.check(channel_session), ("channels.E007", text))

    @modify_settings(INSTALLED_APPS={"remove": ["django.contrib.auth"]})
    def test_users_without_their_application_are_an_error(self):
        text = "use users, and 'django.contrib.auth' is not in INSTALLED_APPS."
        self.assertFinds(self.check(channel_session_user), ("channels.E008", text))
        self.assertEqual(self.check(channel_session), [])

    def test_sessions_without_their_model_are_an_error(self):
        def get_model_class():
            raise RuntimeError("Its application is not installed.")

        store = get_store(f"{BACKENDS}.db")
        patch_for(self, store, "get_model_class", get_model_class)
        text = "'django.contrib.sessions' is not in INSTALLED_APPS."
        with override_settings(SESSION_ENGINE=f"{BACKENDS}.db"):
            self.assertFinds(self.check(channel_session), ("channels.E008", text))

    def test_browsers_without_the_middleware_are_a_warning(self):
        own = f"{__name__}.OwnMiddleware"
        others = ["no.such.Middleware", f"{__name__}.not_a_class"]
        with override_settings(MIDDLEWARE=others):
            text = "'django.contrib.sessions.middleware.SessionMiddleware' is not in"
            self.assertFinds(self.check(http_session), ("channels.W009", text))
            self.assertEqual(self.check(channel_session), [])
        with override_settings(MIDDLEWARE=[*others, own]):
            self.assertEqual(self.check(http_session), [])

    def test_a_limit_below_the_expiry_is_a_warning_where_there_is_order(self):
        limits = {"WEBSOCKET_ORDER_SECONDS": 59}
        with override_settings(CHANNEL_LIMITS=limits):
            text = "is 59: a message may wait for 60 s in the layer"
            self.assertFinds(self.check(enforce_ordering), ("channels.W010", text))
            self.assertEqual(self.check(enforce_ordering, expiry=59), [])
            self.assertEqual(self.check(channel_session), [])
        for limits in ({"WEBSOCKET_ORDER_SECONDS": None}, {"NO_SUCH_LIMIT": 1}):
            with override_settings(CHANNEL_LIMITS=limits):
                self.assertEqual(self.check(enforce_ordering), [])

    def test_the_checks_of_layers_ask(self):
        consumer = channel_session(lambda message: None)
        layers = layer_settings([route("websocket.receive", consumer)])
        with override_settings(
            CHANNEL_LAYERS=layers, SESSION_ENGINE=f"{BACKENDS}.signed_cookies"
        ):
            self.assertFinds(check_layers(), ("channels.E007", "use sessions"))
