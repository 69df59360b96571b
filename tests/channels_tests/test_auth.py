from django.channels import channel_layers
from django.channels.auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
    end_sockets,
    http_session_user,
    transfer_user,
)
from django.channels.exceptions import LayerUnavailable
from django.channels.revocation import CLOSE_CODE
from django.channels.sessions import channel_session, session_for_reply_channel
from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    login,
    logout,
)
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.backends.signed_cookies import SessionStore as CookieStore
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest
from django.test import TestCase, TransactionTestCase, override_settings

from .layers import default_layer
from .socket_messages import REPLY_CHANNEL, connect_message, socket_message
from .utils import patch_for

CLOSE = (REPLY_CHANNEL, {"close": CLOSE_CODE})


class UserTestMixin:
    def setUp(self):
        context = default_layer()
        self.layer = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.user = User.objects.create_user("ann", password="secret")
        self.client.force_login(self.user)
        self.key = self.client.session.session_key

    def message(self, channel="websocket.receive", **content):
        return socket_message(channel_layers["default"], channel, **content)

    def connect(self, **content):
        content.setdefault("session_key", self.key)
        return connect_message(channel_layers["default"], **content)

    def seen(self, decorator, message):
        """Return the name of the user that a consumer sees, empty if anonymous."""
        seen = []
        decorator(lambda message: seen.append(message.user.username))(message)
        return seen[0]

    def sent(self):
        """Return the next message to the test's socket."""
        return self.layer.receive([REPLY_CHANNEL.split("!")[0] + "!"])


class UserTests(UserTestMixin, TestCase):
    def test_http_session_user(self):
        self.assertEqual(self.seen(http_session_user, self.connect()), "ann")
        request = self.connect()
        request.channel.name = "http.request"
        self.assertEqual(self.seen(http_session_user, request), "ann")

    def test_without_a_login_the_user_is_anonymous(self):
        for message in (
            self.connect(session_key=None),
            self.connect(session_key="x" * 32),
            self.connect(session_key=None, query_string=b"session_key=" + b"x" * 32),
            self.message(),
        ):
            for decorator in (
                http_session_user,
                channel_session_user,
                channel_session_user_from_http,
                channel_and_http_session_user_from_http,
            ):
                with self.subTest(message=message, decorator=decorator.__name__):
                    self.assertEqual(self.seen(decorator, message), "")
                    for name in ("user", "channel_session", "http_session"):
                        vars(message).pop(name, None)

    def test_a_key_in_the_url_is_no_login(self):
        query = f"session_key={self.key}".encode()
        message = self.connect(session_key=None, query_string=query)
        self.assertEqual(self.seen(channel_session_user_from_http, message), "")

    def test_the_user_of_the_connect_is_the_user_of_the_socket(self):
        for decorator in (
            channel_session_user_from_http,
            channel_and_http_session_user_from_http,
        ):
            with self.subTest(decorator=decorator.__name__):
                self.assertEqual(self.seen(decorator, self.connect()), "ann")
                self.assertEqual(self.seen(decorator, self.message()), "ann")
                self.assertEqual(self.seen(channel_session_user, self.message()), "ann")
                self.seen(decorator, self.message("websocket.disconnect"))
                self.assertEqual(self.seen(decorator, self.message()), "")

    async def test_async_consumers_have_the_user_loaded(self):
        seen = []

        @channel_session_user_from_http
        async def consumer(message):
            seen.append(message.user.username)

        await consumer(self.connect())
        await consumer(self.message())
        self.assertEqual(seen, ["ann", "ann"])

    def test_a_user_that_is_not_looked_at_is_not_loaded(self):
        consumer = http_session_user(lambda message: None)
        # The session, and whether it still is there.
        with self.assertNumQueries(2):
            consumer(self.connect())

    def test_transfer_user(self):
        one, two = self.client.session, session_for_reply_channel(REPLY_CHANNEL)
        transfer_user(one, two)
        self.assertEqual(two[SESSION_KEY], str(self.user.pk))
        two.save()
        transfer_user(one, two)
        self.assertIs(two.modified, False)
        transfer_user({}, two)
        self.assertEqual(dict(two.items()), {})

    def test_a_login_that_another_backend_made_is_none(self):
        self.seen(channel_session_user_from_http, self.connect())
        with override_settings(AUTHENTICATION_BACKENDS=["another.Backend"]):
            self.assertEqual(self.seen(channel_session_user, self.message()), "")

    @override_settings(SECRET_KEY="older")
    def test_a_login_outlives_a_rotation_of_the_secret_key(self):
        self.client.force_login(self.user)
        key = self.client.session.session_key
        self.seen(channel_session_user_from_http, self.connect(session_key=key))
        with override_settings(SECRET_KEY="newer", SECRET_KEY_FALLBACKS=["older"]):
            message = self.connect(session_key=key)
            self.assertEqual(self.seen(http_session_user, message), "ann")
            # The browser could not be told of another key.
            self.assertIs(Session.objects.filter(pk=key).exists(), True)


class EndTests(UserTestMixin, TransactionTestCase):
    available_apps = [
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ]

    def open(self, decorator=channel_session_user_from_http):
        self.assertEqual(self.seen(decorator, self.connect()), "ann")

    def assertEnded(self):
        self.assertEqual(self.sent(), CLOSE)

    def assertNotEnded(self):
        self.assertEqual(self.sent(), (None, None))

    def test_a_logout_ends_the_sockets_of_its_session(self):
        for decorator in (
            channel_session_user_from_http,
            channel_and_http_session_user_from_http,
            http_session_user,
        ):
            with self.subTest(decorator=decorator.__name__):
                self.client.force_login(self.user)
                self.key = self.client.session.session_key
                self.open(decorator)
                other = self.client_class()
                other.force_login(self.user)
                other.logout()
                self.assertNotEnded()
                self.client.logout()
                self.assertEnded()
                self.layer.flush()
                session_for_reply_channel(REPLY_CHANNEL).delete()

    async def test_an_asynchronous_logout_ends_them(self):
        @channel_session_user_from_http
        async def consumer(message):
            pass

        await consumer(self.connect())
        await self.async_client.aforce_login(self.user)
        self.key = (await self.async_client.asession()).session_key
        await consumer(self.connect())
        await self.async_client.alogout()
        self.assertEnded()

    def log_in(self, user, cookies):
        request = HttpRequest()
        request.session = self.client.session
        request.COOKIES = cookies
        login(request, user, "django.contrib.auth.backends.ModelBackend")
        request.session.save()

    def test_a_login_as_somebody_else_ends_the_sockets_of_the_session(self):
        self.open()
        other = User.objects.create_user("ben", password="secret")
        cookies = {settings.SESSION_COOKIE_NAME: self.key}
        with transaction.atomic():
            self.log_in(other, cookies)
            self.assertNotEnded()
        self.assertEnded()

    def test_a_login_as_the_same_user_ends_nothing(self):
        self.open()
        for cookies in {settings.SESSION_COOKIE_NAME: self.key}, {}:
            self.log_in(self.user, cookies)
            self.assertNotEnded()

    def test_a_logout_of_nobody_ends_nothing(self):
        self.open()
        self.client_class().logout()
        self.assertNotEnded()

    def test_a_session_is_gone_before_its_sockets_are_told(self):
        found = []
        self.open()

        def send_group(group, message):
            found.append(Session.objects.filter(pk=self.key).exists())

        patch_for(self, self.layer.channel_layer, "send_group", send_group)
        self.client.logout()
        self.assertEqual(found, [False])

    def test_a_socket_that_opens_while_its_session_ends_is_anonymous(self):
        def group_add(group, channel):
            Session.objects.all().delete()

        patch_for(self, self.layer.channel_layer, "group_add", group_add)
        for decorator in (http_session_user, channel_session_user_from_http):
            with self.subTest(decorator=decorator.__name__):
                self.assertEqual(self.seen(decorator, self.connect()), "")
                session_for_reply_channel(REPLY_CHANNEL).delete()
                self.client.force_login(self.user)
                self.key = self.client.session.session_key

    def test_a_new_password_ends_all_sockets_of_the_user(self):
        def set_password():
            self.user.set_password("another")
            self.user.save()

        def assign():
            user = User.objects.get()
            user.password = "another"
            user.save(update_fields=["password"])

        def deactivate():
            user = User.objects.get()
            user.is_active = False
            user.save()

        def update():
            User.objects.update(password="more")
            end_sockets(User.objects.get())

        for change in (set_password, assign, update, deactivate, self.user.delete):
            with self.subTest(change=change):
                User.objects.update(is_active=True)
                self.client.force_login(User.objects.get())
                self.key = self.client.session.session_key
                self.open()
                change()
                self.assertEnded()
                self.layer.flush()
                session_for_reply_channel(REPLY_CHANNEL).delete()

    def test_other_changes_end_nothing(self):
        self.open()
        user = User.objects.get()
        user.username = "anna"
        user.save()
        user.password = "not stored"
        user.save(update_fields=["username"])
        User.objects.create_user("ben", password="secret")
        deferred = User.objects.only("username").get(username="anna")
        deferred.save()
        self.assertNotEnded()

    def test_a_password_that_is_rolled_back_ends_nothing(self):
        from django.db import transaction

        self.open()
        with transaction.atomic():
            self.user.set_password("another")
            self.user.save()
            self.assertNotEnded()
            transaction.set_rollback(True)
        self.assertNotEnded()

    def test_a_password_changed_without_signals_ends_it_at_the_next_message(self):
        self.open()
        User.objects.update(password="another")
        self.assertNotEnded()
        self.assertEqual(self.seen(channel_session_user, self.message()), "")
        self.assertEnded()

    def test_a_session_that_is_gone_ends_the_socket_at_the_next_message(self):
        decorator = channel_and_http_session_user_from_http
        self.open(decorator)
        Session.objects.filter(pk=self.key).delete()
        self.assertEqual(self.seen(decorator, self.message()), "")
        self.assertEnded()
        self.assertEqual(self.seen(decorator, self.message()), "")

    def test_a_login_made_by_a_consumer_ends_as_well(self):
        @channel_session
        def log_in(message):
            transfer_user(self.client.session, message.channel_session)

        log_in(self.message())
        self.assertEqual(self.seen(channel_session_user, self.message()), "ann")
        self.user.set_password("another")
        self.user.save()
        self.assertEnded()

    def test_a_disconnect_after_the_login_ended_closes_nothing(self):
        self.open()
        User.objects.update(password="another")
        message = self.message("websocket.disconnect")
        self.assertEqual(self.seen(channel_session_user, message), "")
        self.assertNotEnded()

    def test_sockets_are_found_with_an_older_secret_key(self):
        with override_settings(SECRET_KEY="older"):
            self.client.force_login(self.user)
            self.key = self.client.session.session_key
            self.open()
        with override_settings(SECRET_KEY="newer", SECRET_KEY_FALLBACKS=["older"]):
            end_sockets(self.user)
        self.assertEnded()

    def test_a_logout_finds_sockets_of_a_session_whose_key_has_changed(self):
        self.log_in(self.user, {})
        self.open()
        request = HttpRequest()
        request.session = self.client.session
        request.session.cycle_key()
        self.assertNotEqual(request.session.session_key, self.key)
        logout(request)
        self.assertEnded()

    def test_a_login_in_a_session_without_a_key_is_found_as_well(self):
        request = HttpRequest()
        request.session = SessionStore()
        login(request, self.user, "django.contrib.auth.backends.ModelBackend")
        request.session.save()
        self.key = request.session.session_key
        self.open()
        logout(request)
        self.assertEnded()

    def test_a_login_without_a_session_makes_none(self):
        request = HttpRequest()
        for session in None, SessionStore():
            request.session = session
            user_logged_in.send(sender=User, request=request, user=self.user)
        user_logged_in.send(sender=User, request=None, user=self.user)
        self.assertIsNone(session.session_key)
        self.assertTrue(session.is_empty())

    def test_a_session_in_a_cookie_keeps_no_more_than_the_login(self):
        request = HttpRequest()
        request.session = CookieStore()
        login(request, self.user, "django.contrib.auth.backends.ModelBackend")
        login_keys = {SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY}
        self.assertEqual(set(request.session.keys()), login_keys)

    def test_a_group_tells_nobody_the_session_or_the_user(self):
        names = []
        self.layer.channel_layer.group_add = lambda *args: names.append(args[0])
        self.seen(http_session_user, self.connect())
        for name in names:
            self.assertRegex(name, r"^channels\.(user|session)\.[0-9a-f]{64}$")
            self.assertNotIn(self.key, name)

    def test_a_logout_works_while_a_layer_is_away(self):
        def send_group(group, message):
            raise LayerUnavailable("The store is away.")

        patch_for(self, self.layer.channel_layer, "send_group", send_group)
        with self.assertLogs("django.channels.auth", "ERROR") as logs:
            self.client.logout()
        self.assertIn("Cannot end the sockets of a login on 'default'.", logs.output[0])

    @override_settings(CHANNEL_LAYERS={})
    def test_without_layers_users_are_as_they_were(self):
        user = get_user_model().objects.get()
        self.assertNotIn("_channels_credentials", vars(user))
        self.client.logout()
