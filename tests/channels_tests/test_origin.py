from asgiref.sync import iscoroutinefunction

from django.channels.exceptions import DenyConnection
from django.channels.security.websockets import (
    BaseOriginValidator,
    allowed_hosts_only,
    is_origin_allowed,
)
from django.test import SimpleTestCase, override_settings

from .layers import make_layer
from .socket_messages import connect_message, socket_message


@override_settings(ALLOWED_HOSTS=["example.com", ".wild.test"], DEBUG=False)
class OriginTests(SimpleTestCase):
    def allowed(self, *origins, host=b"example.com"):
        headers = [(b"host", host)] if host else []
        return is_origin_allowed(headers + [(b"origin", value) for value in origins])

    def test_an_absent_origin_is_allowed(self):
        self.assertIs(self.allowed(), True)

    def test_the_host_itself_and_allowed_hosts_are_allowed(self):
        for origin in (
            b"http://example.com",
            b"https://example.com",
            b"https://example.com:8443",
            b"https://EXAMPLE.com",
            b"https://a.wild.test",
        ):
            with self.subTest(origin=origin):
                self.assertIs(self.allowed(origin), True)

    def test_foreign_origins_are_not(self):
        for origin in (
            b"https://evil.test",
            b"https://example.com.evil.test",
            b"https://evil-example.com",
            b"https://wildXtest",
        ):
            with self.subTest(origin=origin):
                self.assertIs(self.allowed(origin), False)

    def test_malformed_origins_are_not(self):
        for origin in (
            b"", b"null", b"example.com", b"//example.com", b"http://", b"http:///",
            b"https://example.com/", b"https://example.com/path", b"ftp://example.com",
            b"https://user@example.com", b"https://example.com:port",
            b"https://example.com:99999", b"https://example.com?x", b"\xff",
            b"https://example.com https://example.com", b"https://example.com#",
            b"https://example.com, https://evil.test", b"https://[::1", b"file://",
        ):  # fmt: skip
            with self.subTest(origin=origin):
                self.assertIs(self.allowed(origin), False)

    def test_a_repeated_origin_is_not(self):
        origin = b"https://example.com"
        self.assertIs(self.allowed(origin, origin), False)

    @override_settings(ALLOWED_HOSTS=["*"])
    def test_a_wildcard_allows_only_the_very_host(self):
        self.assertIs(self.allowed(b"https://example.com"), True)
        self.assertIs(self.allowed(b"http://example.com"), True)
        self.assertIs(self.allowed(b"http://example.com:81"), False)
        self.assertIs(self.allowed(b"http://a.test:81", host=b"a.test:81"), True)
        self.assertIs(self.allowed(b"https://evil.test"), False)
        self.assertIs(self.allowed(b"https://example.com", host=None), False)

    @override_settings(CSRF_TRUSTED_ORIGINS=["https://app.test", "https://*.more.test"])
    def test_trusted_origins_are_allowed(self):
        self.assertIs(self.allowed(b"https://app.test"), True)
        self.assertIs(self.allowed(b"https://a.more.test"), True)
        self.assertIs(self.allowed(b"http://app.test"), False)
        self.assertIs(self.allowed(b"https://app.test:81"), False)
        self.assertIs(self.allowed(b"https://app.test.evil.test"), False)

    @override_settings(ALLOWED_HOSTS=[], DEBUG=True)
    def test_debug_allows_what_it_allows_for_requests(self):
        self.assertIs(self.allowed(b"http://localhost:8000", host=b"localhost"), True)
        self.assertIs(self.allowed(b"http://127.0.0.1:8000", host=b"127.0.0.1"), True)
        self.assertIs(self.allowed(b"http://[::1]:8000", host=b"[::1]:8000"), True)
        self.assertIs(self.allowed(b"http://evil.test", host=b"evil.test"), False)


@override_settings(ALLOWED_HOSTS=["example.com"])
class DecoratorTests(SimpleTestCase):
    def connect(self, *origins):
        message = connect_message(make_layer())
        message["headers"].extend([b"origin", origin] for origin in origins)
        return message

    def test_pages_of_allowed_hosts_reach_the_consumer(self):
        @allowed_hosts_only
        def consumer(message, room):
            """Consume."""
            return room

        message = self.connect(b"https://example.com:8443")
        self.assertEqual(consumer(message, room="lobby"), "lobby")
        self.assertEqual(consumer.__name__, "consumer")
        self.assertEqual(consumer.__doc__, "Consume.")

    def test_others_are_denied(self):
        @allowed_hosts_only
        def consumer(message):
            raise AssertionError("Called.")

        for origins, reason in (
            (
                [b"https://evil.test"],
                "Its Origin 'https://evil.test' is not one for '/'.",
            ),
            ([b"https://example.com.evil.test"], "is not one for '/'."),
            ([b"null"], "is malformed."),
            ([b"https://ex\xffample.com"], "is malformed."),
            ([], "It must have one header 'origin', and has 0."),
            (
                [b"https://example.com"] * 2,
                "It must have one header 'origin', and has 2.",
            ),
        ):
            with self.subTest(origins=origins):
                with self.assertRaisesMessage(DenyConnection, reason):
                    consumer(self.connect(*origins))

    def test_methods_are_decorated_as_functions_are(self):
        class Consumers:
            @allowed_hosts_only
            def connect(self, message):
                return self

        consumers = Consumers()
        message = self.connect(b"https://example.com")
        self.assertIs(consumers.connect(message), consumers)
        with self.assertRaises(DenyConnection):
            consumers.connect(self.connect())
        self.assertIs(Consumers.connect.__get__(None, Consumers), Consumers.connect)

    async def test_async_consumers_stay_so(self):
        class Consumers:
            @allowed_hosts_only
            async def connect(self, message):
                return self

        @allowed_hosts_only
        async def consumer(message):
            return message

        message, consumers = self.connect(b"https://example.com"), Consumers()
        for decorated, returned in (
            (consumer, message),
            (consumers.connect, consumers),
        ):
            self.assertIs(iscoroutinefunction(decorated), True)
            self.assertIs(await decorated(message), returned)

    def test_a_subclass_decides_by_itself(self):
        class OnlyTest(BaseOriginValidator):
            def validate_origin(self, message, origin):
                return origin.endswith(".test")

        consumer = OnlyTest(lambda message: True)
        self.assertIs(consumer(self.connect(b"https://a.test")), True)
        with self.assertRaises(DenyConnection):
            consumer(self.connect(b"https://example.com"))
        with self.assertRaisesMessage(NotImplementedError, "say which may"):
            BaseOriginValidator(consumer)(self.connect(b"https://a.test"))

    def test_a_message_without_headers_is_an_error(self):
        msg = "AllowedHostsOnlyOriginValidator decorates consumers of websocket.connect"
        with self.assertRaisesMessage(ValueError, msg):
            allowed_hosts_only(lambda message: None)(socket_message(make_layer()))
