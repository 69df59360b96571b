import asyncio

from django.channels.interface.application import Application
from django.channels.interface.bodies import BODY_CHUNK_BYTES, BODY_WINDOW
from django.channels.interface.dispatch import LayerDispatcher
from django.channels.interface.http import CREDIT_BATCH
from django.test import SimpleTestCase
from django.test.channel_layers import cites

from .connections import HttpClient
from .layers import SpanningLayer, make_layer
from .messages import assert_specified
from .utils import TIMEOUT


class HttpTestCase(SimpleTestCase):
    """Requests whose consumers are the test itself."""

    def setUp(self):
        self.layer = make_layer(layer_class=SpanningLayer)
        self.addCleanup(self.layer.close)

    def make_client(self, limits=None, **options):
        dispatcher = LayerDispatcher(self.layer)
        application = Application(self.layer, dispatcher, limits=limits)
        return HttpClient(application, **options)

    async def next_message(self, *channels):
        channels = channels or ("http.request", "http.disconnect")
        channel, message = await self.layer.areceive(
            list(channels), block=True, timeout=TIMEOUT
        )
        assert_specified(self, message)
        return message

    async def reply(self, message, **content):
        await self.layer.asend(message["reply_channel"], content)

    async def closed(self, client):
        """Wait until no reply channel of the client's application is open."""
        while client.application.replies._open:
            await asyncio.sleep(0)

    def assertNothingLeft(self):
        self.assertEqual(self.layer.statistics()["messages_pending"], 0)


class RequestTests(HttpTestCase):
    @cites("HTTP-3", "headers stay in the order in which they came")
    @cites("HTTP-1", "as one http.request message")
    async def test_a_request_becomes_one_message(self):
        client = self.make_client(
            path="/ä/",
            method="POST",
            query_string=b"a=%20",
            headers=[(b"Host", b"testserver"), (b"x", b"1"), (b"x", b"2")],
            scheme="https",
            root_path="/app",
        )
        await client.put("http.request", body=b"ab", more_body=True)
        await client.put("http.request", body=b"cd", more_body=False)
        message = await self.next_message()
        self.assertRegex(message["reply_channel"], r"^interface\.reply\.\w+!\w+$")
        await self.reply(message, status=204)
        del message["reply_channel"]
        self.assertEqual(
            message,
            {
                "type": "http.request",
                "http_version": "1.1",
                "method": "POST",
                "scheme": "https",
                "path": "/ä/",
                "query_string": b"a=%20",
                "root_path": "/app",
                "headers": [[b"host", b"testserver"], [b"x", b"1"], [b"x", b"2"]],
                "body": b"abcd",
                "client": ["127.0.0.1", 50000],
                "server": ["127.0.0.1", 80],
            },
        )
        self.assertEqual((await client.response())[0], 204)
        self.assertNothingLeft()

    @cites("HTTP-2", "that no other request has")
    async def test_reply_channels_differ(self):
        names = set()
        for _ in range(2):
            client = self.make_client()
            await client.put("http.request")
            message = await self.next_message()
            names.add(message["reply_channel"])
            await self.reply(message, status=204)
            await client.response()
        self.assertEqual(len(names), 2)

    @cites("HTTP-4", "A body of more than 65,536 bytes")
    async def test_a_large_body_comes_in_chunks(self):
        body = bytes(range(256)) * 1024
        client = self.make_client(method="POST")
        # Not in the pieces that messages have.
        for start in range(0, len(body), 10_000):
            part = body[start : start + 10_000]
            more = start + 10_000 < len(body)
            await client.put("http.request", body=part, more_body=more)
        message = await self.next_message()
        parts, more = [message["body"]], True
        while more:
            part = await self.next_message(message["body_channel"])
            parts.append(part["content"])
            more = part["more_content"]
        self.assertEqual([len(part) for part in parts], [BODY_CHUNK_BYTES] * 4)
        self.assertEqual(b"".join(parts), body)
        await self.reply(message, status=204)
        await client.response()
        self.assertNothingLeft()

    async def test_one_large_event_comes_in_chunks(self):
        body = b"x" * (BODY_CHUNK_BYTES * 2 + 1)
        client = self.make_client(method="POST")
        await client.put("http.request", body=body)
        message = await self.next_message()
        parts = [message["body"]]
        for _ in range(2):
            part = await self.next_message(message["body_channel"])
            parts.append(part["content"])
        self.assertIs(part["more_content"], False)
        self.assertEqual(b"".join(parts), body)
        await self.reply(message, status=204)
        await client.response()

    @cites("HTTP-5", "No more than 64 messages of a body")
    async def test_a_body_goes_no_further_ahead_than_its_window(self):
        client = self.make_client(method="POST")
        chunks = BODY_WINDOW + 10
        for _ in range(chunks + 1):
            body = b"x" * BODY_CHUNK_BYTES
            await client.put("http.request", body=body, more_body=True)
        message = await self.next_message()
        for _ in range(BODY_WINDOW):
            await self.next_message(message["body_channel"])
        empty = await self.layer.areceive([message["body_channel"]])
        self.assertEqual(empty, (None, None))
        await self.reply(message, type="http.request.credit", chunks=10)
        for _ in range(10):
            await self.next_message(message["body_channel"])
        await self.reply(message, status=204)
        await client.response()
        closed = await self.next_message(message["body_channel"])
        self.assertIs(closed["closed"], True)
        self.assertNothingLeft()

    @cites("HTTP-5", "logged and ignored")
    async def test_a_credit_that_is_none_is_logged_and_ignored(self):
        client = self.make_client()
        await client.put("http.request")
        message = await self.next_message()
        with self.assertLogs("django.channels.interface", "ERROR") as logs:
            for chunks in None, "1", 1.5, True, 0, -1, BODY_WINDOW + 1, 2**62:
                credit = {"type": "http.request.credit", "chunks": chunks}
                await self.reply(message, **credit)
            await self.reply(message, status=204)
            self.assertEqual((await client.response())[0], 204)
        self.assertEqual(len(logs.output), 8)
        self.assertIn("an int from 1 to 64, not None.", logs.output[0])

    @cites("HTTP-11", "goes away before its response is complete")
    async def test_a_server_that_cannot_send_tells_that_the_client_is_gone(self):
        async def send(event):
            raise ConnectionResetError("gone")

        client = self.make_client()
        scope, application = client.scope, client.application
        events = asyncio.Queue()
        events.put_nowait({"type": "http.request"})
        task = asyncio.ensure_future(application(scope, events.get, send))
        message = await self.next_message()
        await self.reply(
            message, status=200, more_content=True, credit_channel="http.response.x?y"
        )
        self.assertEqual((await self.next_message())["type"], "http.disconnect")
        await asyncio.wait_for(task, TIMEOUT)

    async def test_a_client_that_leaves_within_the_first_chunk_sends_nothing(self):
        client = self.make_client(method="POST")
        await client.put("http.request", body=b"x", more_body=True)
        await client.put("http.disconnect")
        await client.ended()
        self.assertNothingLeft()

    @cites("HTTP-6", "a part whose closed is true; nothing follows it")
    async def test_a_client_that_leaves_within_the_body_is_reported(self):
        client = self.make_client(method="POST", path="/up/")
        body = b"x" * BODY_CHUNK_BYTES
        await client.put("http.request", body=body, more_body=True)
        message = await self.next_message()
        await client.put("http.disconnect")
        await client.ended()
        closed = await self.next_message(message["body_channel"])
        self.assertIs(closed["closed"], True)
        self.assertEqual(
            await self.next_message(),
            {
                "type": "http.disconnect",
                "reply_channel": message["reply_channel"],
                "path": "/up/",
            },
        )
        self.assertNothingLeft()

    @cites("HTTP-11", "When a client goes away before its response is complete")
    async def test_a_client_that_leaves_before_the_answer_is_reported_once(self):
        client = self.make_client()
        await client.put("http.request")
        message = await self.next_message()
        await client.put("http.disconnect")
        await client.ended()
        self.assertEqual((await self.next_message())["type"], "http.disconnect")
        await self.reply(message, status=200)
        await self.closed(client)
        self.assertNothingLeft()

    @cites("HTTP-14", "The consumer ends the response then")
    async def test_a_response_that_begins_after_the_client_left_is_stopped(self):
        name = "http.response.credit?x"
        client = self.make_client()
        await client.put("http.request")
        message = await self.next_message()
        await client.put("http.disconnect")
        await client.ended()
        await self.reply(message, type="http.request.credit", chunks=1)
        await self.reply(message, status=200, more_content=True, credit_channel=name)
        self.assertIs((await self.next_message(name))["closed"], True)
        await self.closed(client)

    async def test_a_reply_channel_does_not_wait_for_ever_for_an_answer(self):
        client = self.make_client(limits={"HTTP_RESPONSE_SECONDS": 0.05})
        self.assertEqual((await client.request())[0], 503)
        await self.closed(client)

    @cites("HTTP-11", "or the server ends the request")
    async def test_a_request_that_the_server_ends_is_reported(self):
        client = self.make_client()
        await client.put("http.request")
        message = await self.next_message()
        name = "http.response.credit?x"
        await self.reply(message, status=200, more_content=True, credit_channel=name)
        self.assertEqual((await client.get())["type"], "http.response.start")
        await client.get()
        client.future.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await client.future
        credit = await self.next_message(name)
        self.assertIs(credit["closed"], True)
        self.assertEqual((await self.next_message())["type"], "http.disconnect")
        self.assertNothingLeft()

    async def test_a_request_that_was_ended_in_the_line_is_not_reported(self):
        self.layer = make_layer(layer_class=SpanningLayer, capacity=1)
        await self.layer.asend("http.request", {"path": "/other/"})
        client = self.make_client(limits={"HTTP_QUEUE_SECONDS": None})
        await client.put("http.request")
        requests = client.application.requests.here()
        while not requests._places:
            await asyncio.sleep(0)
        client.future.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await client.future
        self.assertEqual(self.layer.statistics()["messages_pending"], 1)


class ResponseTests(HttpTestCase):
    async def answer(self, *replies, **options):
        client = self.make_client(**options)
        await client.put("http.request")
        message = await self.next_message()
        for reply in replies:
            await self.reply(message, **reply)
        return client

    async def test_a_response_in_one_message(self):
        client = await self.answer(
            {"status": 201, "headers": [[b"X-A", b"1"]], "content": b"made"}
        )
        self.assertEqual(await client.response(), (201, {b"X-A": b"1"}, b"made"))

    @cites("HTTP-7", "with one or more http.response messages")
    async def test_a_response_in_several_messages(self):
        client = await self.answer(
            {"type": "http.response", "status": 200, "more_content": True},
            {"content": b"a", "more_content": True},
            {"content": b"b"},
        )
        self.assertEqual(await client.response(), (200, {}, b"ab"))

    @cites("HTTP-18", "a response to HEAD, or with status 204 or 304")
    async def test_a_response_that_has_no_content_is_its_head(self):
        for method, status, content in (
            ("HEAD", 200, b""),
            ("GET", 204, b""),
            ("GET", 304, b""),
            ("GET", 205, b"ab"),
        ):
            with self.subTest(method=method, status=status):
                client = await self.answer(
                    {"status": status, "content": b"a", "more_content": True},
                    {"content": b"b"},
                    method=method,
                )
                self.assertEqual(await client.response(), (status, {}, content))

    @cites("HTTP-10", "after its response is complete")
    async def test_what_comes_after_the_response_is_dropped(self):
        client = await self.answer({"status": 200}, {"content": b"more"})
        self.assertEqual(await client.response(), (200, {}, b""))
        self.assertNothingLeft()

    @cites("HTTP-9", "for what it has handed to the client")
    async def test_credit_is_given_for_what_was_written(self):
        name = "http.response.credit?x"
        part = {"content": b"b", "more_content": True}
        client = await self.answer(
            {"status": 200, "credit_channel": name, **part},
            *[part] * (CREDIT_BATCH * 2),
        )
        for _ in range(2):
            credit = await self.next_message(name)
            self.assertEqual(credit["chunks"], CREDIT_BATCH)
        await client.put("http.disconnect")
        await client.ended()
        credit = await self.next_message(name)
        self.assertIs(credit["closed"], True)
        self.assertEqual((await self.next_message())["type"], "http.disconnect")

    @cites("HTTP-9", "unless the last one has come")
    async def test_a_response_that_has_come_needs_no_credit(self):
        name = "http.response.credit?x"
        part = {"content": b"b", "more_content": True}
        client = await self.answer(
            {"status": 200, "credit_channel": name, **part},
            *[part] * (CREDIT_BATCH * 2),
            {"content": b"c"},
        )
        _, _, body = await client.response()
        self.assertEqual(body, b"b" * (CREDIT_BATCH * 2 + 1) + b"c")
        self.assertNothingLeft()

    @cites("HTTP-14", "or because the server answered in its place")
    async def test_whoever_sends_a_response_that_became_invalid_is_told(self):
        name = "http.response.credit?x"
        start = {"status": 200, "more_content": True, "credit_channel": name}
        with self.assertLogs("django.channels.interface", "ERROR"):
            client = await self.answer(start, {"content": 5})
            for _ in range(2):
                await client.get()
            await client.ended()
        self.assertIs((await self.next_message(name))["closed"], True)
        self.assertEqual((await self.next_message())["type"], "http.disconnect")
        self.assertNothingLeft()

    @cites("HTTP-16", "must not end the response as if it were complete")
    async def test_a_response_that_broke_off_is_left_incomplete(self):
        with self.assertLogs("django.channels.interface", "ERROR") as logs:
            client = await self.answer(
                {"status": 200, "content": b"half", "more_content": True},
                {"status": 500, "content": b"Internal Server Error"},
            )
            self.assertEqual((await client.get())["status"], 200)
            part = await client.get()
            self.assertEqual((part["body"], part["more_body"]), (b"half", True))
            await client.ended()
        self.assertIn("The response broke off", logs.output[0])
        self.assertEqual((await self.next_message())["type"], "http.disconnect")
        self.assertNothingLeft()

    async def test_a_response_that_the_server_cannot_send_is_stopped(self):
        name = "http.response.credit?x"

        async def send(event):
            raise RuntimeError("Response content longer than Content-Length")

        client, events = self.make_client(), asyncio.Queue()
        events.put_nowait({"type": "http.request"})
        task = asyncio.ensure_future(client.application(client.scope, events.get, send))
        message = await self.next_message()
        await self.reply(message, status=200, more_content=True, credit_channel=name)
        with self.assertRaisesMessage(RuntimeError, "longer than Content-Length"):
            await task
        self.assertIs((await self.next_message(name))["closed"], True)
        self.assertEqual((await self.next_message())["type"], "http.disconnect")

    @cites("HTTP-8", "answers with status 500 if nothing was sent yet")
    async def test_a_response_that_is_none_becomes_a_500(self):
        for reply, error in (
            ({"content": b"no status"}, "an int from 100 to 999, not None."),
            ({"status": "200"}, "an int from 100 to 999, not '200'."),
            ({"status": 99}, "an int from 100 to 999, not 99."),
            ({"status": 200, "content": "text"}, "must be bytes, not str."),
            ({"status": 200, "headers": [["a", "b"]]}, "a pair of bytes, not ['a'"),
            ({"status": 200, "headers": [[b"a"]]}, "a pair of bytes, not [b'a']"),
            ({"status": 200, "headers": None}, "must be list, not NoneType."),
            ({"status": 200, "headers": [5]}, "a pair of bytes, not 5."),
            ({"status": 200, "headers": [[b"a", b"b\r\nc: d"]]}, "without line breaks"),
            ({"status": 200, "headers": [[b"a\n", b""]]}, "must be a token and"),
            ({"status": 200, "more_content": "no"}, "must be bool, not str."),
            ({"status": 200, "credit_channel": "a b"}, "'a b' is not a valid"),
            ({"status": 200, "credit_channel": 5}, "a bad credit_channel: "),
            ({"status": 200, "type": 5}, "must be str, not int."),
            ({"status": 200, "state": 1}, "A response has no state; it knows"),
        ):
            with self.subTest(reply=reply):
                with self.assertLogs("django.channels.interface", "ERROR") as logs:
                    client = await self.answer(reply)
                    status, _, body = await client.response()
                self.assertEqual((status, body), (500, b"Invalid response.\n"))
                self.assertIn(error, logs.output[0])
                await self.next_message("http.disconnect")
                self.assertNothingLeft()
