import asyncio
from unittest import mock, skipUnless

from django.channels.exceptions import LayerUnavailable
from django.channels.interface.application import Application, get_bus_application
from django.channels.interface.dispatch import LayerDispatcher
from django.test import SimpleTestCase, override_settings
from django.test.channel_layers import cites

from .connections import WebSocketClient
from .layers import SpanningLayer, make_layer
from .messages import assert_specified
from .utils import TIMEOUT

AWAY = LayerUnavailable("The store is away.")
NAMES = ["websocket.connect", "websocket.receive", "websocket.disconnect"]


class WebSocketTestCase(SimpleTestCase):
    """A socket whose consumers are the test itself."""

    def setUp(self):
        self.layer = make_layer(layer_class=SpanningLayer)
        self.addCleanup(self.layer.close)

    def make_client(self, path="/chat/", limits=None, **options):
        dispatcher = LayerDispatcher(self.layer)
        application = Application(self.layer, dispatcher, limits=limits)
        return WebSocketClient(application, path, **options)

    async def next_message(self, *channels):
        channel, message = await self.layer.areceive(
            list(channels or NAMES), block=True, timeout=TIMEOUT
        )
        assert_specified(self, message, channel)
        return message

    async def reply(self, message, **content):
        await self.layer.asend(message["reply_channel"], content)

    async def open(self, **options):
        """Return an accepted client and its websocket.connect message."""
        client = self.make_client(**options)
        await client.put("websocket.connect")
        connect = await self.next_message()
        await self.reply(connect, accept=True)
        self.assertEqual(await client.get(), {"type": "websocket.accept"})
        return client, connect

    async def assertDisconnected(self, **expected):
        message = await self.next_message()
        self.assertEqual(message["type"], "websocket.disconnect")
        self.assertEqual({key: message[key] for key in expected}, expected)
        found = await self.layer.areceive(NAMES)
        self.assertEqual(found, (None, None))


class LifeTests(WebSocketTestCase):
    @cites("WS-1", "one websocket.connect message when a client asks for a socket")
    async def test_a_handshake_becomes_a_connect(self):
        client = self.make_client(
            headers=[(b"Host", b"testserver"), (b"x", b"1"), (b"x", b"2")],
            query_string=b"a=%20",
            scheme="wss",
            subprotocols=["v1", "v2"],
        )
        await client.put("websocket.connect")
        message = await self.next_message()
        reply_channel = message.pop("reply_channel")
        self.assertRegex(reply_channel, r"^interface\.reply\.\w+!\w+$")
        self.assertEqual(
            message,
            {
                "type": "websocket.connect",
                "scheme": "wss",
                "path": "/chat/",
                "query_string": b"a=%20",
                "root_path": "",
                "headers": [[b"host", b"testserver"], [b"x", b"1"], [b"x", b"2"]],
                "client": ["127.0.0.1", 50000],
                "server": ["127.0.0.1", 80],
                "subprotocols": ["v1", "v2"],
                "order": 0,
                "ordered": False,
            },
        )
        await self.layer.asend(reply_channel, {"accept": False})
        await client.get()
        await client.ended()

    @cites("WS-3", "0 for the connect, and one more for each message after it")
    async def test_frames_become_receives_in_order(self):
        client, connect = await self.open()
        await client.put("websocket.receive", text="zwölf", bytes=None)
        await client.put("websocket.receive", bytes=b"\x00")
        await client.put("websocket.receive", text="")
        for order, content in enumerate(
            [{"text": "zwölf"}, {"bytes": b"\x00"}, {"text": ""}], 1
        ):
            self.assertEqual(
                await self.next_message(),
                {
                    "type": "websocket.receive",
                    "reply_channel": connect["reply_channel"],
                    "path": "/chat/",
                    "order": order,
                    **content,
                },
            )
        await client.disconnect(4001)
        await self.assertDisconnected(code=4001, order=4, path="/chat/")

    @skipUnless(hasattr(asyncio, "eager_task_factory"), "Python 3.12 has eager tasks.")
    async def test_frames_become_receives_where_tasks_are_eager(self):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        await self.test_frames_become_receives_in_order()

    @cites("WS-8", "in the order in which they came to the reply channel")
    async def test_replies_are_written_in_order(self):
        client, connect = await self.open()
        for number in range(50):
            await self.reply(connect, text=str(number))
        await self.reply(connect, type="websocket.send", bytes=b"\xff")
        for number in range(50):
            event = {"type": "websocket.send", "text": str(number)}
            self.assertEqual(await client.get(), event)
        self.assertEqual(
            await client.get(), {"type": "websocket.send", "bytes": b"\xff"}
        )
        await client.disconnect()

    @cites("WS-2", "Exactly one websocket.disconnect")
    async def test_a_socket_that_is_lost_disconnects_once(self):
        client, connect = await self.open()
        await client.put("websocket.disconnect")
        await client.ended()
        await self.assertDisconnected(code=1006)

    @cites("WS-2", "or because the server stops")
    async def test_a_server_that_cancels_leaves_a_disconnect(self):
        client, connect = await self.open()
        client.future.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await client.future
        await self.assertDisconnected(code=1006)

    async def test_the_reply_channel_ends_with_the_socket(self):
        client, connect = await self.open()
        await self.layer.agroup_add("room", connect["reply_channel"])
        await client.disconnect()
        await self.assertDisconnected()
        await self.layer.asend_group("room", {"text": "anyone?"})
        await self.reply(connect, text="anyone?")
        self.assertEqual(self.layer.statistics()["messages_pending"], 0)

    async def test_a_socket_that_its_consumer_closes(self):
        for close, code in ((True, 1000), (4000, 4000), (1001, 1001)):
            with self.subTest(close=close):
                client, connect = await self.open()
                await self.reply(connect, text="bye", close=close)
                sent = {"type": "websocket.send", "text": "bye"}
                self.assertEqual(await client.get(), sent)
                closed = {"type": "websocket.close", "code": code}
                self.assertEqual(await client.get(), closed)
                await client.disconnect(code)
                await self.assertDisconnected(code=code, order=1)

    @cites("WS-4", "before the socket is accepted")
    async def test_nothing_is_received_before_it_is_accepted(self):
        client = self.make_client()
        await client.put("websocket.connect")
        connect = await self.next_message()
        await client.put("websocket.receive", text="too early")
        await self.reply(connect, accept=False)
        await client.get()
        await client.ended()
        await self.assertDisconnected(order=1)

    @cites("WS-5", "logged and ignored; the socket stays as it is")
    async def test_a_bad_reply_is_logged_and_changes_nothing(self):
        client, connect = await self.open()
        for reply, error in (
            ({"text": "a", "bytes": b"b"}, "it has both text and bytes."),
            ({"txt": "a"}, "it has no txt; it knows accept, bytes, close,"),
            ({"text": 1}, "its text must be str, not int."),
            ({"bytes": "a"}, "its bytes must be bytes, not str."),
            ({"accept": 1}, "its accept must be bool, not int."),
            ({"accept": True, "subprotocol": ["a"]}, "must be str, not list."),
            (
                {"accept": True, "subprotocol": "a\r\nb: c"},
                "its subprotocol is no token",
            ),
            ({"type": 5, "text": "a"}, "its type must be str, not int."),
            ({"close": 1}, "or 3000 to 4999, not 1."),
            ({"close": 1006}, "or 3000 to 4999, not 1006."),
            ({"close": "now"}, "or 3000 to 4999, not 'now'."),
        ):
            with self.subTest(reply=reply):
                with self.assertLogs("django.channels.interface", "ERROR") as logs:
                    await self.reply(connect, **reply)
                    await self.reply(connect, text="next")
                    event = await client.get()
                self.assertEqual(event, {"type": "websocket.send", "text": "next"})
                self.assertIn(error, logs.output[0])
        await client.disconnect()


class HandshakeTests(WebSocketTestCase):
    ACCEPT = {"type": "websocket.accept"}
    SEND = {"type": "websocket.send", "text": "hi"}
    REJECT = {"type": "websocket.close", "code": 1008}

    async def answer(self, *replies, **options):
        client = self.make_client(**options)
        await client.put("websocket.connect")
        connect = await self.next_message()
        for reply in replies:
            await self.reply(connect, **reply)
        return client

    @cites("WS-6", "close alone rejects")
    async def test_the_decision_table(self):
        close = {"type": "websocket.close", "code": 1000}
        for reply, events in (
            ({"accept": True}, [self.ACCEPT]),
            ({"accept": True, "text": "hi"}, [self.ACCEPT, self.SEND]),
            ({"text": "hi"}, [self.ACCEPT, self.SEND]),
            ({"text": "hi", "close": True}, [self.ACCEPT, self.SEND, close]),
            ({"accept": True, "close": True}, [self.ACCEPT, close]),
            (
                {"accept": True, "subprotocol": "v1"},
                [{**self.ACCEPT, "subprotocol": "v1"}],
            ),
            ({"accept": False}, [self.REJECT]),
            ({"accept": False, "text": "hi"}, [self.REJECT]),
            ({"close": True}, [self.REJECT]),
            ({"close": 4000}, [self.REJECT]),
        ):
            with self.subTest(reply=reply):
                client = await self.answer(reply, subprotocols=["v1"])
                for event in events:
                    self.assertEqual(await client.get(), event)
                if events[-1] is self.REJECT:
                    await client.ended()
                else:
                    await client.disconnect()
                await self.assertDisconnected()

    @cites("WS-23", "whose subprotocol the client does not offer")
    async def test_a_subprotocol_that_nobody_offers_decides_nothing(self):
        for offered in [], ["v1"], ["V2", "v2.1"]:
            with self.subTest(offered=offered):
                with self.assertLogs("django.channels.interface", "ERROR") as logs:
                    reply = {"accept": True, "subprotocol": "v2"}
                    client = await self.answer(
                        reply, {"accept": True}, subprotocols=offered
                    )
                    self.assertEqual(await client.get(), self.ACCEPT)
                self.assertIn(f"which are {offered!r}.", logs.output[0])
                await client.disconnect()
                await self.assertDisconnected()

    async def test_an_empty_reply_decides_nothing(self):
        client = await self.answer({}, {"close": False}, {"accept": True})
        self.assertEqual(await client.get(), self.ACCEPT)
        await client.disconnect()

    @cites("WS-7", "answered with status 403")
    async def test_a_server_that_can_answers_with_a_status(self):
        extensions = {"websocket.http.response": {}}
        client = self.make_client(extensions=extensions)
        await client.put("websocket.connect")
        await self.reply(await self.next_message(), accept=False)
        start = await client.get()
        self.assertEqual(start["type"], "websocket.http.response.start")
        self.assertEqual(start["status"], 403)
        body = await client.get()
        self.assertEqual(body["body"], b"Connection refused.\n")
        await client.ended()

    @cites("WS-12", "no consumer accepts within the server's time limit")
    async def test_a_handshake_that_nobody_answers_is_refused(self):
        with self.assertLogs("django.channels.interface", "WARNING") as logs:
            limits = {"WEBSOCKET_HANDSHAKE_SECONDS": 0.05}
            limits["WEBSOCKET_ORDER_SECONDS"] = 0.1
            client = self.make_client(limits=limits)
            await client.put("websocket.connect")
            self.assertEqual(await client.get(), self.REJECT)
            await client.ended()
        self.assertIn("no consumer accepted it in time", logs.output[0])


@override_settings(ALLOWED_HOSTS=["testserver"])
class OriginTests(WebSocketTestCase):
    @cites(
        "WS-13",
        "before any message is sent, when its Origin is malformed, repeated",
    )
    async def test_a_foreign_origin_is_refused_before_any_message(self):
        for origins in ([b"https://evil.test"], [b"null"], [b"http://testserver"] * 2):
            with self.subTest(origins=origins):
                headers = [(b"origin", origin) for origin in origins]
                client = self.make_client(headers=headers)
                with self.assertLogs("django.channels.interface", "WARNING") as logs:
                    event = await client.connect()
                    await client.ended()
                self.assertEqual(event, {"type": "websocket.close", "code": 1008})
                self.assertIn(
                    f"its Origin {', '.join(repr(o.decode()) for o in origins)} is not "
                    f"allowed. It has to be that of the Host, ",
                    logs.output[0],
                )
                self.assertEqual(await self.layer.areceive(NAMES), (None, None))

    async def test_the_refusal_has_status_403(self):
        client = self.make_client(
            headers=[(b"origin", b"https://evil.test")],
            extensions={"websocket.http.response": {}},
        )
        with self.assertLogs("django.channels.interface", "WARNING"):
            self.assertEqual((await client.connect())["status"], 403)
            await client.ended()

    async def test_the_sites_own_origin_and_none_are_accepted(self):
        for headers in ([(b"origin", b"https://testserver")], []):
            client, connect = await self.open(headers=headers)
            await client.disconnect()
            await self.assertDisconnected()

    async def test_the_check_can_be_switched_off(self):
        client, connect = await self.open(
            headers=[(b"origin", b"https://evil.test")],
            limits={"WEBSOCKET_CHECK_ORIGIN": False},
        )
        await client.disconnect()


class LimitTests(WebSocketTestCase):
    async def assertClosed(self, client, code):
        while (event := await client.get())["type"] == "websocket.send":
            continue
        self.assertEqual(event, {"type": "websocket.close", "code": code})
        await client.disconnect(code)

    @cites("WS-9", "with status 503 where the ASGI server can send one")
    async def test_a_full_connect_channel_refuses_the_handshake(self):
        self.layer = make_layer(layer_class=SpanningLayer, capacity=1)
        await self.layer.asend("websocket.connect", {"path": "/other/"})
        client = self.make_client()
        event = await client.connect()
        self.assertEqual(event, {"type": "websocket.close", "code": 1013})
        await client.ended()
        client = self.make_client(extensions={"websocket.http.response": {}})
        self.assertEqual((await client.connect())["status"], 503)
        await client.ended()
        self.assertEqual(self.layer.statistics()["messages_pending"], 1)

    @cites("WS-10", "When a message of the client has no room")
    async def test_a_full_receive_channel_closes_with_1013_and_disconnects(self):
        capacity = {"websocket.receive": 2}
        self.layer = make_layer(layer_class=SpanningLayer, channel_capacity=capacity)
        client, connect = await self.open()
        with self.assertLogs("django.channels.interface", "WARNING"):
            for number in range(3):
                await client.put("websocket.receive", text=str(number))
            await self.assertClosed(client, 1013)
        for text in ("0", "1"):
            message = await self.next_message("websocket.receive")
            self.assertEqual(message["text"], text)
        await self.assertDisconnected(code=1013)

    @cites("WS-15", "must send one websocket.gap message")
    async def test_a_gap_is_told_to_the_consumers(self):
        client, connect = await self.open()
        reply_channel = connect["reply_channel"]
        await self.layer.asend(reply_channel, {"type": "layer.gap"})
        message = await self.next_message("websocket.gap")
        self.assertEqual(message["reply_channel"], reply_channel)
        self.assertEqual(message["order"], 1)
        await self.layer.asend(reply_channel, {"text": "on"})
        # Nothing was written before it.
        self.assertEqual((await client.get())["text"], "on")

    async def test_a_layer_that_is_away_refuses_a_handshake(self):
        client = self.make_client(extensions={"websocket.http.response": {}})
        layer = self.layer.channel_layer
        with mock.patch.object(layer, "asend_batch", side_effect=AWAY):
            self.assertEqual((await client.connect())["status"], 503)
            await client.ended()

    async def test_a_layer_that_goes_away_closes_with_1013(self):
        client, connect = await self.open()
        layer = self.layer.channel_layer
        with mock.patch.object(layer, "asend_batch", side_effect=AWAY):
            with self.assertLogs("django.channels.interface", "WARNING"):
                await client.put("websocket.receive", text="lost")
                event = await client.get()
        self.assertEqual(event, {"type": "websocket.close", "code": 1013})
        await client.disconnect(1013)
        await self.assertDisconnected(code=1013)

    async def test_a_full_disconnect_channel_is_tried_again(self):
        capacity = {"websocket.disconnect": 1}
        self.layer = make_layer(layer_class=SpanningLayer, channel_capacity=capacity)
        client, connect = await self.open()
        other = {"type": "websocket.disconnect", "reply_channel": "a!b", "path": "/"}
        other.update(code=1000, order=1)
        await self.layer.asend("websocket.disconnect", other)
        await client.put("websocket.disconnect", code=1000)
        self.assertEqual(await self.next_message(), other)
        await client.ended()
        await self.assertDisconnected(reply_channel=connect["reply_channel"])

    @cites("WS-11", "above the server's size limit")
    async def test_a_message_above_the_limit_closes_with_1009(self):
        for content in ({"text": "x" * 11}, {"bytes": b"x" * 11}, {"text": "ä" * 6}):
            with self.subTest(content=content):
                client, _ = await self.open(limits={"WEBSOCKET_MESSAGE_BYTES": 10})
                with self.assertLogs("django.channels.interface", "WARNING"):
                    await client.put("websocket.receive", **content)
                    await self.assertClosed(client, 1009)
                await self.assertDisconnected(code=1009)

    async def test_a_message_of_just_the_limit_passes(self):
        client, _ = await self.open(limits={"WEBSOCKET_MESSAGE_BYTES": 10})
        await client.put("websocket.receive", text="ä" * 5)
        self.assertEqual((await self.next_message())["text"], "ä" * 5)
        await client.disconnect()

    @cites("WS-11", "more messages than its rate limit with 1008")
    async def test_more_messages_than_the_rate_close_with_1008(self):
        client, _ = await self.open(limits={"WEBSOCKET_MESSAGES_PER_SECOND": 0.001})
        with self.assertLogs("django.channels.interface", "WARNING"):
            await client.put("websocket.receive", text="1")
            await self.assertClosed(client, 1008)
        await self.assertDisconnected(code=1008)

    async def test_a_frame_that_is_no_text_closes_with_1007(self):
        client, _ = await self.open()
        with self.assertLogs("django.channels.interface", "WARNING") as logs:
            await client.put("websocket.receive", text="\ud800")
            await self.assertClosed(client, 1007)
        self.assertIn("surrogate", logs.output[0])
        await self.assertDisconnected()

    @cites("WS-10", "too many replies wait to be written")
    async def test_replies_that_pile_up_close_with_1013(self):
        client, connect = await self.open(limits={"WEBSOCKET_PENDING_MESSAGES": 5})
        with self.assertLogs("django.channels.interface", "WARNING") as logs:
            # One batch arrives in one turn of the loop; bytes wait for the next.
            reply_channel = connect["reply_channel"]
            batch = [(reply_channel, {"bytes": b"%d" % n}) for n in range(50)]
            await self.layer.asend_batch(batch)
            await self.assertClosed(client, 1013)
        self.assertIn("it does not read its messages", logs.output[0])
        await self.assertDisconnected(code=1013)

    @cites("WS-14", "refuses to send a close code below 3000")
    async def test_a_server_that_refuses_a_close_code_gets_a_private_one(self):
        client = self.make_client(limits={"WEBSOCKET_MESSAGE_BYTES": 10})
        application = client.application

        async def picky(scope, receive, send):
            async def picky_send(event):
                if event.get("code", 1000) not in (1000, *range(3000, 5000)):
                    raise ValueError(f"invalid close code {event['code']}")
                await send(event)

            await application(scope, receive, picky_send)

        client = WebSocketClient(picky, "/chat/")
        await client.put("websocket.connect")
        await self.reply(await self.next_message(), accept=True)
        await client.get()
        with self.assertLogs("django.channels.interface", "WARNING"):
            await client.put("websocket.receive", text="x" * 11)
            await self.assertClosed(client, 4009)
        await self.assertDisconnected()


class UnreachableTests(SimpleTestCase):
    async def test_a_layer_of_one_process_refuses_sockets_and_says_so_once(self):
        layer = make_layer()
        application = get_bus_application(layer)
        with self.assertLogs("django.channels.interface", "ERROR") as logs:
            for _ in range(2):
                client = WebSocketClient(application)
                event = await client.connect()
                self.assertEqual(event, {"type": "websocket.close", "code": 1013})
                await client.ended()
        self.assertEqual(len(logs.output), 1)
        self.assertIn("does not span processes", logs.output[0])
