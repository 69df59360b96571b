"""What the clients of tests send, have consumed and receive."""

from unittest import mock

from asgiref.sync import sync_to_async

from django.channels import Channel, Group, route
from django.channels.auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
)
from django.channels.exceptions import ConsumeLater, DenyConnection
from django.channels.generic.websockets import JsonWebsocketConsumer, WebsocketConsumer
from django.channels.sessions import channel_session, enforce_ordering, http_session
from django.channels.signals import consumer_finished, consumer_started
from django.contrib.auth.models import User
from django.db import close_old_connections, connections
from django.http import parse_cookie
from django.test import SimpleTestCase, override_settings
from django.test.channels import (
    ChannelTestCase,
    ChannelTestCaseMixin,
    Client,
    HttpClient,
    WSClient,
    apply_routes,
)

from .layers import layer_settings


class ClientTestCase(ChannelTestCaseMixin, SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enterClassContext(override_settings(CHANNEL_LAYERS=layer_settings()))


class ConsumingTests(ClientTestCase):
    def consume(self, consumer, **content):
        """Have a message consumed by a function; return what that returns."""
        self.client = Client()
        with apply_routes({"start": consumer}):
            return self.client.send_and_consume("start", content)

    def test_a_consumer_gets_the_message_and_its_result_is_returned(self):
        def consumer(message):
            self.assertEqual(message.reply_channel.name, self.client.reply_channel)
            return message["n"] + 1

        self.assertEqual(self.consume(consumer, n=1), 2)

    def test_content_that_is_no_dict_is_refused(self):
        for client in Client(), WSClient():
            for content in "b", [], 0:
                msg = f"must be a dict, not {content!r} of type "
                with self.subTest(client=client, content=content):
                    with self.assertRaisesMessage(TypeError, msg):
                        client.send("a", content)

    async def test_a_coroutine_function_is_awaited(self):
        async def consumer(message):
            await message.reply_channel.asend({"n": 1})
            return "done"

        client = Client()
        with apply_routes({"start": consumer}):
            self.assertEqual(await client.asend_and_consume("start"), "done")
            client.send("start")
        self.assertEqual(client.receive(), {"n": 1})

    def test_a_synchronous_test_runs_a_coroutine_function_to_its_end(self):
        async def consumer(message):
            await message.reply_channel.asend({"n": 1})
            return "done"

        self.assertEqual(self.consume(consumer), "done")
        self.assertEqual(self.client.receive(), {"n": 1})

    def test_what_a_consumer_sends_leaves_when_it_has_succeeded(self):
        def consumer(message):
            message.reply_channel.send({"n": 1})
            Group("g").send({"n": 2})
            self.assertNoMessageSent(self.client.reply_channel)

        self.consume(consumer)
        self.assertEqual(self.client.receive(), {"n": 1})
        self.assertMessageSent(group="g", content={"n": 2})

    def test_what_a_consumer_raises_is_raised_and_nothing_leaves(self):
        def consumer(message):
            Channel("now").send({}, immediately=True)
            message.reply_channel.send({"n": 1})
            raise ValueError("broken")

        with self.assertLogs("django.channels.worker", "ERROR"):
            with self.assertRaisesMessage(ValueError, "broken"):
                self.consume(consumer)
        self.assertIsNone(self.client.receive())
        self.assertMessageSent("now")

    async def test_what_a_coroutine_function_raises_is_raised(self):
        async def consumer(message):
            raise ValueError("broken")

        with self.assertLogs("django.channels.worker", "ERROR"):
            with apply_routes({"start": consumer}):
                with self.assertRaisesMessage(ValueError, "broken"):
                    await Client().asend_and_consume("start")

    def test_what_is_illegal_is_raised(self):
        def consumer(message):
            raise DenyConnection

        with self.assertLogs("django.channels.worker", "ERROR"):
            with self.assertRaisesMessage(ValueError, "DenyConnection"):
                self.consume(consumer)

    def test_what_a_broken_route_raises_is_raised(self):
        class Broken:
            def match(self, message):
                raise ValueError("broken route")

        with self.assertLogs("django.channels.worker", "ERROR"):
            with apply_routes([Broken()]):
                with self.assertRaisesMessage(ValueError, "broken route"):
                    Client().send_and_consume("start")

    def test_a_message_for_later_waits_on_its_channel(self):
        tries = []

        def consumer(message):
            tries.append(message.content.copy())
            message.reply_channel.send({"n": len(tries)})
            if len(tries) < 3:
                raise ConsumeLater

        client = Client()
        with apply_routes({"start": consumer}):
            self.assertIsNone(client.send_and_consume("start", {"n": 7}))
            self.assertIsNone(client.receive())
            client.consume("start")
            client.consume("start")
            self.assertNoMessage("start")
        self.assertEqual([content["n"] for content in tries], [7, 7, 7])
        self.assertEqual(client.receive(), {"n": 3})
        self.assertIsNone(client.receive())

    def test_a_message_for_later_is_dropped_after_ten_tries(self):
        def consumer(message):
            raise ConsumeLater

        client = Client()
        with apply_routes({"start": consumer}):
            client.send("start")
            with self.assertLogs("django.channels.worker", "WARNING"):
                for _ in range(11):
                    client.consume("start")
            with self.assertRaisesMessage(AssertionError, "No message"):
                client.consume("start")

    def test_without_a_message_or_a_route_consuming_fails(self):
        client = Client()
        with self.assertRaisesMessage(AssertionError, "No message for channel start."):
            client.consume("start")
        self.assertIsNone(client.consume("start", fail_on_none=False))
        with self.assertLogs("django.channels.worker", "ERROR"):
            with self.assertRaisesMessage(AssertionError, "Can't find a consumer for"):
                client.send_and_consume("start")
            self.assertIsNone(client.send_and_consume("start", fail_on_none=False))

    def test_signals_are_sent_as_by_a_worker(self):
        heard = []

        def started(**kwargs):
            heard.append("started")

        def finished(message, **kwargs):
            heard.append(message["n"])

        consumer_started.connect(started)
        self.addCleanup(consumer_started.disconnect, started)
        consumer_finished.connect(finished)
        self.addCleanup(consumer_finished.disconnect, finished)
        self.consume(lambda message: heard.append("consumed"), n=1)
        self.assertEqual(heard, ["started", "consumed", 1])

    def test_groups_bring_messages_to_their_members(self):
        one, two, other = Client(), Client(), Client()
        for client in one, two:
            client.join_group("g")
        Group("g").send({"n": 1})
        self.assertEqual(one.receive(), {"n": 1})
        self.assertEqual(two.receive(), {"n": 1})
        self.assertIsNone(other.receive())

    def test_a_channel_tells_its_consumer(self):
        def consumer(message):
            """Do nothing."""

        with apply_routes([route("start", consumer)]):
            self.assertIs(Client().get_consumer_by_channel("start"), consumer)
            self.assertIsNone(Client().get_consumer_by_channel("stop"))

    def test_the_content_is_copied_when_it_is_sent(self):
        content = {"list": []}
        client = Client()
        client.send("start", content)
        self.assertEqual(content, {"list": []})
        self.assertEqual(
            client.get_next_message("start").content,
            {"list": [], "reply_channel": client.reply_channel},
        )


class SocketTests(ClientTestCase):
    def sent(self, client, channel, *args, **kwargs):
        client.send(channel, *args, **kwargs)
        return client.get_next_message(channel).content

    def test_a_connect_is_as_from_a_server(self):
        client = WSClient()
        client.set_header("Origin", "http://testserver")
        client.set_cookie("color", "blue")
        self.assertEqual(
            self.sent(client, "websocket.connect", path="/chat/?room=1"),
            {
                "type": "websocket.connect",
                "reply_channel": client.reply_channel,
                "scheme": "ws",
                "path": "/chat/",
                "query_string": b"room=1",
                "root_path": "",
                "headers": [
                    [b"origin", b"http://testserver"],
                    [b"cookie", b"color=blue"],
                ],
                "subprotocols": [],
                "client": ["127.0.0.1", 0],
                "server": ["testserver", 80],
            },
        )

    def test_later_messages_have_neither_headers_nor_query(self):
        client = WSClient()
        client.set_cookie("color", "blue")
        common = {"reply_channel": client.reply_channel, "path": "/chat/"}
        self.assertEqual(
            self.sent(client, "websocket.receive", text="hi", path="/chat/?room=1"),
            {**common, "type": "websocket.receive", "text": "hi"},
        )
        self.assertEqual(
            self.sent(client, "websocket.disconnect", {"path": "/chat/"}),
            {**common, "type": "websocket.disconnect", "code": 1000},
        )

    def test_text_may_be_what_json_can_say_and_bytes_come_alone(self):
        client = WSClient()
        content = self.sent(client, "websocket.receive", text={"a": 1})
        self.assertEqual(content["text"], '{"a": 1}')
        content = self.sent(client, "websocket.receive", {"bytes": b"\x00"})
        self.assertEqual(content["bytes"], b"\x00")
        self.assertNotIn("text", content)
        self.assertEqual(self.sent(client, "websocket.receive")["text"], "")

    def test_other_channels_get_what_is_given(self):
        client = WSClient()
        content = self.sent(client, "thumbnails", {"photo": 1})
        self.assertEqual(
            content, {"photo": 1, "path": "/", "reply_channel": client.reply_channel}
        )

    def test_cookies_are_what_django_reads(self):
        client = WSClient()
        client.set_cookie("color", "red")
        client.set_cookie("color", "blue")
        client.set_cookie("strange", "a;b é")
        header = client.headers["cookie"].decode("latin-1")
        self.assertEqual(parse_cookie(header)["color"], "blue")
        self.assertEqual(client.get_cookies(), {"color": "blue", "strange": "a;b é"})
        with self.assertRaisesMessage(ValueError, "Use set_cookie()"):
            client.set_header("Cookie", "color=blue")

    def test_cookies_are_as_browsers_send_them(self):
        client = WSClient()
        client.set_cookie("price", "5€")
        self.assertEqual(client.headers["cookie"], 'price="5€"'.encode())

    def test_what_is_no_header_is_refused(self):
        client = WSClient()
        for key, value, error, message in (
            (5, "a", TypeError, "The name of a header must be a str or bytes, not 5."),
            ("a", 5, TypeError, "The header 'a' must be a str or bytes, not 5."),
            ("a", "5€", ValueError, "The header 'a' must consist of characters of"),
            ("a", "b\r\nc: d", ValueError, "not 'b\\r\\nc: d'."),
        ):
            with self.subTest(key=key, value=value):
                with self.assertRaisesMessage(error, message):
                    client.set_header(key, value)
        client.set_header("a", "é")
        self.assertEqual(client.headers, {"a": b"\xe9"})

    def test_what_no_server_sends_is_refused(self):
        for args, kwargs, message in (
            ([5], {}, "channel name must be a str, not 5 of type int."),
            (["websocket.receive"], {"path": None}, "path must be a str, not None."),
            (["websocket.receive"], {"text": b"a"}, "can be JSON, not b'a'; bytes are"),
            (["websocket.receive"], {"text": {1}}, "can be JSON, not {1}; bytes are"),
        ):
            with self.subTest(args=args, kwargs=kwargs):
                with self.assertRaisesMessage(TypeError, message):
                    WSClient().send(*args, **kwargs)
        for use in WSClient().consume, Client().consume, Client().get_next_message:
            with self.assertRaisesMessage(TypeError, "must be a str, not 5"):
                use(5)

    def test_the_alias_of_a_layer_is_no_order(self):
        message = "ordered must be True or False, not 'default'."
        with self.assertRaisesMessage(TypeError, message):
            WSClient("default")

    def test_a_socket_is_connected_when_its_consumer_accepts(self):
        client = WSClient()
        client.send_and_consume("websocket.connect")
        self.assertIsNone(client.receive())

    def test_a_socket_that_is_denied_fails_the_test(self):
        def deny(message):
            raise DenyConnection

        def wait(message):
            """Say nothing."""

        def close(message):
            message.reply_channel.send({"close": True})

        for consumer, reply in (
            (deny, {"accept": False}),
            (wait, None),
            (close, {"close": True}),
        ):
            with self.subTest(reply=reply):
                client = WSClient()
                with apply_routes({"websocket.connect": consumer}):
                    with self.assertRaisesMessage(
                        AssertionError, f"Connection rejected: {reply}"
                    ):
                        client.send_and_consume("websocket.connect")
                    client.send_and_consume("websocket.connect", check_accept=False)
                self.assertEqual(client.receive(), reply)

    def test_data_accepts_and_is_received(self):
        def greet(message):
            message.reply_channel.send({"text": "hi"})

        client = WSClient()
        with apply_routes({"websocket.connect": greet}):
            client.send_and_consume("websocket.connect")
        self.assertEqual(client.receive(json=False), "hi")

    def test_an_unknown_path_is_denied_as_by_a_server(self):
        with apply_routes([WebsocketConsumer.as_route(path="^/known/$")]):
            WSClient().send_and_consume("websocket.connect", path="/known/")
            with self.assertLogs("django.channels.worker", "WARNING"):
                with self.assertRaisesMessage(AssertionError, "Connection rejected"):
                    WSClient().send_and_consume("websocket.connect", path="/unknown/")

    def test_replies_are_received_as_json_or_as_they_are(self):
        client = WSClient()
        reply = Channel(client.reply_channel)
        for content, json, expected in (
            ({"text": '{"a": 1}'}, True, {"a": 1}),
            ({"text": '{"a": 1}'}, False, '{"a": 1}'),
            ({"bytes": b"\x00"}, True, {"bytes": b"\x00"}),
            ({"close": 4000}, True, {"close": 4000}),
        ):
            with self.subTest(content=content):
                reply.send(content)
                self.assertEqual(client.receive(json=json), expected)
        reply.send({"text": "plain"})
        with self.assertRaisesMessage(ValueError, "'plain' is no JSON"):
            client.receive()
        self.assertIsNone(client.receive())

    async def test_sockets_of_asynchronous_consumers(self):
        class Echo(JsonWebsocketConsumer):
            async def receive(self, content, **kwargs):
                self.send({"echo": content})

        client = WSClient()
        with apply_routes([Echo.as_route()]):
            await client.asend_and_consume("websocket.connect")
            await client.asend_and_consume("websocket.receive", text=[1])
        self.assertEqual(client.receive(), {"echo": [1]})

    def test_a_class_based_consumer_is_returned(self):
        client = WSClient()
        with apply_routes([WebsocketConsumer.as_route()]):
            consumer = client.send_and_consume("websocket.connect", path="/a/")
        self.assertIsInstance(consumer, WebsocketConsumer)
        self.assertEqual(consumer.path, "/a/")

    def test_views_answer_requests(self):
        client = WSClient()
        client.set_header("host", "testserver")
        with override_settings(
            ROOT_URLCONF="channels_tests.urls", ALLOWED_HOSTS=["testserver"]
        ):
            client.send_and_consume("http.request", path="/hello/")
        response = client.receive()
        self.assertEqual(response["status"], 200)
        self.assertEqual(response["content"], b"hello")

    def test_the_old_name_warns(self):
        msg = "HttpClient is an old name: use WSClient."
        with self.assertWarnsMessage(DeprecationWarning, msg):
            self.assertIsInstance(HttpClient(), WSClient)


class OrderTests(ClientTestCase):
    class Ordered(WebsocketConsumer):
        strict_ordering = True

        def receive(self, text=None, **kwargs):
            self.send(text=f"{self.message['order']} {text}")

    def test_messages_are_numbered(self):
        client = WSClient(ordered=True)
        with apply_routes([self.Ordered.as_route()]):
            client.send_and_consume("websocket.connect")
            for number in 1, 2:
                client.send_and_consume("websocket.receive", text="x")
                self.assertEqual(client.receive(json=False), f"{number} x")
            client.send_and_consume("websocket.disconnect")
        self.assertIsNone(client.receive())

    def test_a_message_without_its_number_is_refused_as_by_a_worker(self):
        with apply_routes([self.Ordered.as_route()]):
            with self.assertLogs("django.channels.worker", "ERROR"):
                with self.assertRaisesMessage(ValueError, "enforce_ordering needs"):
                    WSClient().send_and_consume("websocket.connect")

    def test_a_connect_that_asks_for_no_order_is_noticed(self):
        @enforce_ordering
        def receive(message):
            """Do nothing."""

        client = WSClient(ordered=True)
        with apply_routes({"websocket.receive": receive}):
            client.send_and_consume("websocket.connect")
            with self.assertLogs("django.channels.worker", "ERROR"):
                with self.assertRaisesMessage(ValueError, "Decorate both."):
                    client.send_and_consume("websocket.receive", text="x")

    def test_numbers_are_not_given_by_hand(self):
        with self.assertRaisesMessage(ValueError, "'order' is 3"):
            WSClient(ordered=True).send("websocket.receive", {"order": 3})


@override_settings(CHANNEL_LAYERS=layer_settings())
class SessionTests(ChannelTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = User.objects.create_user("ada", password="secret")

    def test_the_session_is_the_browsers(self):
        @http_session
        def connect(message):
            message.http_session["seen"] = message.http_session["color"]
            message.reply_channel.send({"accept": True})

        client = WSClient()
        session = client.session
        session["color"] = "blue"
        session.save()
        with apply_routes({"websocket.connect": connect}):
            client.send_and_consume("websocket.connect")
        self.assertEqual(client.session["seen"], "blue")

    def test_the_channel_session_lasts_from_connect_to_disconnect(self):
        @channel_session
        def count(message):
            count = message.channel_session.get("count", 0) + 1
            message.channel_session["count"] = count
            message.reply_channel.send({"accept": True, "text": str(count)})

        one, two = WSClient(), WSClient()
        channels = "connect", "receive", "disconnect"
        with apply_routes({f"websocket.{name}": count for name in channels}):
            for client in one, two:
                client.send_and_consume("websocket.connect", check_accept=False)
            for name in "receive", "disconnect", "receive":
                one.send_and_consume(f"websocket.{name}")
        received = [one.receive(json=False) for _ in range(4)]
        self.assertEqual(received, ["1", "2", "3", "1"])

    def test_no_connection_to_a_database_is_closed_in_a_test(self):
        """A worker closes old ones, which would end the transaction of the test."""

        def consumer(message):
            close_old_connections()

        with mock.patch.object(connections["default"], "close") as close:
            with apply_routes({"start": consumer}):
                Client().send_and_consume("start")
            close.assert_not_called()
            close_old_connections()
            close.assert_called_once_with()

    async def test_no_connection_is_closed_in_an_asynchronous_test(self):
        @channel_session
        async def consumer(message):
            message.channel_session["count"] = await User.objects.acount()

        connection = await sync_to_async(connections.__getitem__)("default")
        with mock.patch.object(connection, "close") as close:
            with apply_routes({"start": consumer}):
                await Client().asend_and_consume("start")
        close.assert_not_called()

    def consume_whole_socket(self, client, decorate, decorate_later):
        """Return the names of the users of connect, receive and disconnect."""
        names = []

        def consumer(message):
            names.append(message.user.username)
            message.reply_channel.send({"accept": True})

        routes = {
            "websocket.connect": decorate(consumer),
            "websocket.receive": decorate_later(consumer),
            "websocket.disconnect": decorate_later(consumer),
        }
        with apply_routes(routes):
            for channel in routes:
                client.send_and_consume(channel)
        return names

    def test_a_user_who_has_logged_in_is_the_users_of_the_socket(self):
        both = channel_and_http_session_user_from_http
        for decorators in (
            (channel_session_user_from_http, channel_session_user),
            (both, both),
        ):
            with self.subTest(decorators=decorators):
                client = WSClient()
                client.force_login(self.user)
                names = self.consume_whole_socket(client, *decorators)
                self.assertEqual(names, ["ada"] * 3)

    def test_credentials_log_in_or_do_not(self):
        client = WSClient()
        self.assertIs(client.login(username="ada", password="wrong"), False)
        decorators = channel_session_user_from_http, channel_session_user
        self.assertEqual(self.consume_whole_socket(client, *decorators), [""] * 3)
        client = WSClient()
        self.assertIs(client.login(username="ada", password="secret"), True)
        self.assertEqual(self.consume_whole_socket(client, *decorators), ["ada"] * 3)

    def test_a_logout_ends_the_socket(self):
        @channel_session_user_from_http
        def connect(message):
            message.reply_channel.send({"accept": True})

        client = WSClient()
        client.force_login(self.user)
        with apply_routes({"websocket.connect": connect}):
            client.send_and_consume("websocket.connect")
        with self.captureOnCommitCallbacks(execute=True):
            client.logout()
        self.assertIn("close", client.receive())
        self.assertEqual(client.get_cookies(), {})
