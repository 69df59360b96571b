import asyncio
from unittest import mock

from django.channels.exceptions import LayerUnavailable
from django.channels.interface import application as application_module
from django.channels.interface import bodies
from django.channels.interface.application import get_bus_application
from django.channels.interface.bodies import BODY_CHUNK_BYTES, BODY_WINDOW, RequestBody
from django.channels.limits import get_limits
from django.test import SimpleTestCase
from django.test.channel_layers import cites

from .connections import Connection, HttpClient
from .layers import SpanningLayer, make_layer
from .test_interface_http import HttpTestCase
from .utils import let_time_pass, patch_for


class LimitTests(HttpTestCase):
    @cites("HTTP-12", "stays full for its time limit, 0.5 seconds by default")
    async def test_a_channel_that_stays_full_answers_503(self):
        self.layer = make_layer(layer_class=SpanningLayer, capacity=1)
        await self.layer.asend("http.request", {"path": "/other/"})
        client = self.make_client(limits={"HTTP_QUEUE_SECONDS": 0.05})
        status, _, body = await client.request()
        self.assertEqual((status, body), (503, b"Request queue full.\n"))
        self.assertEqual(self.layer.statistics()["messages_pending"], 1)
        self.assertEqual(get_limits()["HTTP_QUEUE_SECONDS"], 0.5)

    async def test_pauses_between_tries_of_a_full_body_channel_grow_longer(self):
        layer = make_layer(capacity=1)
        body = RequestBody(layer, None, None, None)
        channel = await body.open_channel()
        await layer.asend(channel, {"content": b"full"})
        pauses = []

        async def sleep(seconds):
            pauses.append(seconds)
            if len(pauses) == 6:
                await layer.areceive([channel])

        patch_for(self, bodies, "asyncio", mock.Mock(wraps=asyncio, sleep=sleep))
        await body._send(content=b"next")
        self.assertEqual(pauses, [0.002, 0.004, 0.008, 0.016, 0.032, 0.05])
        self.assertEqual((await layer.areceive([channel]))[1]["content"], b"next")

    @cites("HTTP-15", "must not cut a request while its body makes progress")
    async def test_an_upload_may_take_longer_than_a_response(self):
        limits = {"HTTP_RESPONSE_SECONDS": 60}
        client = self.make_client(method="POST", limits=limits)
        part = {"body": b"x" * BODY_CHUNK_BYTES, "more_body": True}
        await client.put("http.request", **part)
        message = await self.next_message()
        credit = {"type": "http.request.credit", "chunks": 1}
        for _ in range(3):
            let_time_pass(50)
            await client.put("http.request", **part)
            await self.next_message(message["body_channel"])
            await self.reply(message, **credit)
        await client.put("http.request", body=b"", more_body=False)
        await self.reply(message, status=204)
        self.assertEqual((await client.response())[0], 204)

    @cites("HTTP-15", "If it is the client that sends nothing in that time")
    async def test_a_body_that_does_not_come_gets_408(self):
        for body in b"", b"x", b"x" * BODY_CHUNK_BYTES * 2:
            with self.subTest(size=len(body)):
                limits = {"HTTP_RESPONSE_SECONDS": 60}
                client = self.make_client(method="POST", limits=limits)
                await client.put("http.request", body=body, more_body=True)
                # Until then, it is not the client that is waited for.
                while not client.input_queue._getters:
                    await asyncio.sleep(0)
                let_time_pass(60)
                status, _, content = await client.response()
                self.assertEqual(status, 408)
                self.assertEqual(content, b"Request body did not arrive in time.\n")
        message = await self.next_message()
        for closed in None, True:
            part = await self.next_message(message["body_channel"])
            self.assertIs(part.get("closed"), closed)
        await self.next_message("http.disconnect")
        self.assertNothingLeft()

    async def test_a_body_that_nobody_reads_gets_503(self):
        limits = {"HTTP_RESPONSE_SECONDS": 0.05}
        client = self.make_client(method="POST", limits=limits)
        for _ in range(BODY_WINDOW + 2):
            part = b"x" * BODY_CHUNK_BYTES
            await client.put("http.request", body=part, more_body=True)
        self.assertEqual((await client.response())[0], 503)

    async def test_a_layer_that_is_away_is_not_said_to_be_full(self):
        away = LayerUnavailable("gone")
        with mock.patch.object(
            self.layer.channel_layer, "asend_batch", side_effect=away
        ):
            with self.assertLogs("django.channels.interface", "ERROR") as logs:
                status, _, body = await self.make_client().request()
        self.assertEqual((status, body), (503, b"Request queue not available.\n"))
        line = "ERROR:django.channels.interface:Cannot send to http.request: gone"
        self.assertEqual(logs.output, [line])

    @cites("HTTP-12", "when no response begins within another time limit")
    async def test_a_request_that_nobody_answers_gets_503(self):
        client = self.make_client(limits={"HTTP_RESPONSE_SECONDS": 0.05})
        with self.assertLogs("django.channels.interface", "WARNING") as logs:
            status, _, body = await client.request()
        self.assertEqual(status, 503)
        self.assertEqual(body, b"Worker server failed to respond within time limit.\n")
        self.assertIn("No response to / came within 0.05 s.", logs.output[0])
        message = await self.next_message()
        gone = await self.next_message("http.disconnect")
        self.assertEqual(gone["reply_channel"], message["reply_channel"])

    @cites("HTTP-13", "with status 431 when the headers are larger than its limit")
    async def test_headers_above_the_limit_get_431(self):
        headers = [(b"cookie", b"x" * 100)]
        client = self.make_client(headers=headers, limits={"HTTP_HEADER_BYTES": 100})
        self.assertEqual((await client.request())[0], 431)
        self.assertNothingLeft()

    async def test_an_announced_body_above_the_limit_gets_413(self):
        for length in b"11", b"9" * 5000:
            with self.subTest(digits=len(length)):
                client = self.make_client(
                    headers=[(b"content-length", length)],
                    limits={"HTTP_BODY_BYTES": 10},
                )
                self.assertEqual((await client.request(b"x" * 11))[0], 413)
                self.assertNothingLeft()

    async def test_an_unannounced_body_above_the_limit_gets_413(self):
        client = self.make_client(limits={"HTTP_BODY_BYTES": 10})
        self.assertEqual((await client.request(b"x" * 11))[0], 413)
        self.assertNothingLeft()

    @cites("HTTP-13", "whether its length was announced or not")
    async def test_a_body_that_grows_above_the_limit_gets_413(self):
        client = self.make_client(limits={"HTTP_BODY_BYTES": BODY_CHUNK_BYTES + 10})
        body = b"x" * BODY_CHUNK_BYTES
        await client.put("http.request", body=body, more_body=True)
        message = await self.next_message()
        await client.put("http.request", body=b"x" * 11, more_body=True)
        self.assertEqual((await client.response())[0], 413)
        closed = await self.next_message(message["body_channel"])
        self.assertIs(closed["closed"], True)
        await self.next_message("http.disconnect")
        self.assertNothingLeft()

    async def test_a_body_of_just_the_limit_passes(self):
        client = self.make_client(limits={"HTTP_BODY_BYTES": 10})
        await client.put("http.request", body=b"x" * 10)
        await self.reply(await self.next_message(), status=204)
        self.assertEqual((await client.response())[0], 204)


class UnreachableTests(SimpleTestCase):
    async def test_a_layer_of_one_process_answers_503_at_once(self):
        application = get_bus_application(make_layer())
        with self.assertLogs("django.channels.interface", "ERROR") as logs:
            for _ in range(2):
                self.assertEqual((await HttpClient(application).request())[0], 503)
        self.assertEqual(len(logs.output), 1)
        self.assertIn("does not span processes", logs.output[0])

    async def test_a_server_may_tell_of_its_start_and_its_end(self):
        connection = Connection(get_bus_application(make_layer()), "lifespan")
        with mock.patch.object(application_module, "freeze_start") as freeze_start:
            for event in ("lifespan.startup", "lifespan.shutdown"):
                await connection.put(event)
                self.assertEqual(await connection.get(), {"type": f"{event}.complete"})
                freeze_start.assert_called_once_with()
        await connection.ended()

    async def test_other_scopes_are_refused(self):
        connection = Connection(get_bus_application(make_layer()), "gopher")
        msg = "can only handle HTTP and WebSocket connections, not gopher."
        with self.assertRaisesMessage(ValueError, msg):
            await connection.ended()
