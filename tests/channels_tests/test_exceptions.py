from unittest import mock

from django.channels import Channel, Message, route
from django.channels.exceptions import (
    ChannelSocketException,
    DenyConnection,
    ResponseLater,
    WebsocketCloseException,
)
from django.channels.worker import Worker
from django.test import SimpleTestCase

from .layers import make_layer


class SocketExceptionTests(SimpleTestCase):
    """What a consumer raises acts on its connection, where that is legal."""

    def setUp(self):
        self.layer = make_layer()

    def run_error(self, error, channel, content=None):
        content = {"reply_channel": "r!x"} if content is None else content
        error.run(Message(content, channel, self.layer))
        return self.layer.receive(["r!"])[1]

    def test_a_connection_is_denied(self):
        reply = self.run_error(DenyConnection(), "websocket.connect")
        self.assertEqual(reply, {"accept": False})

    def test_the_reason_of_a_denial_is_logged(self):
        with self.assertLogs("django.channels.worker", "WARNING") as logs:
            self.run_error(DenyConnection("Too many."), "websocket.connect")
        self.assertIn("Denied a socket: Too many.", logs.output[0])

    def test_only_a_connection_that_is_asked_for_can_be_denied(self):
        for channel in "websocket.receive", "websocket.disconnect", "thumbnails":
            msg = f"DenyConnection was raised on {channel}: only a consumer of "
            with self.subTest(channel), self.assertRaisesMessage(ValueError, msg):
                self.run_error(DenyConnection(), channel)

    def test_a_socket_is_closed_with_the_code(self):
        for code, close in ((None, True), (1000, 1000), (3000, 3000), (4999, 4999)):
            for channel in "websocket.connect", "websocket.receive":
                with self.subTest(code=code, channel=channel):
                    error = WebsocketCloseException(code)
                    reply = self.run_error(error, channel)
                    self.assertEqual(reply, {"close": close})

    def test_a_code_that_no_application_may_send_is_refused(self):
        for code in (0, 999, 1001, 2999, 5000, True, "1000", 1000.0):
            msg = f"must be None, 1000, or 3000 to 4999, not {code!r}."
            with self.subTest(code), self.assertRaisesMessage(ValueError, msg):
                WebsocketCloseException(code)

    def test_only_a_socket_can_be_closed(self):
        for channel in "http.request", "thumbnails":
            msg = f"WebsocketCloseException was raised on {channel}: only a consumer"
            with self.subTest(channel), self.assertRaisesMessage(ValueError, msg):
                self.run_error(WebsocketCloseException(), channel)

    def test_without_a_reply_channel_nothing_can_be_done(self):
        for error in DenyConnection(), WebsocketCloseException():
            msg = f"{type(error).__name__} was raised on websocket.connect, for a"
            with self.subTest(error), self.assertRaisesMessage(ValueError, msg):
                self.run_error(error, "websocket.connect", {})

    def test_only_a_view_puts_its_response_off(self):
        msg = "ResponseLater was raised on http.request: only a view that runs"
        with self.assertRaisesMessage(ValueError, msg):
            self.run_error(ResponseLater(), "http.request")

    def test_a_subclass_says_what_it_does(self):
        class Vague(ChannelSocketException):
            pass

        with self.assertRaisesMessage(NotImplementedError, "Vague has no run()."):
            self.run_error(Vague(), "a")


class RaisedInAConsumerTests(SimpleTestCase):
    """None of them, wherever it is raised, ends who ran the consumer."""

    def consume(self, channel, error):
        def consumer(message):
            Channel("b", channel_layer=self.layer).send({"n": 1})
            raise error

        self.layer = make_layer([route(channel, consumer)])
        Worker(self.layer).consume(channel, {"reply_channel": "r!x"})
        self.assertEqual(self.layer.receive(["b"]), (None, None))
        return self.layer.receive(["r!"])[1]

    def test_what_the_consumer_sent_is_discarded(self):
        reply = self.consume("websocket.receive", WebsocketCloseException(4001))
        self.assertEqual(reply, {"close": 4001})

    def test_what_is_not_legal_there_is_logged_as_an_error_of_the_consumer(self):
        for channel, error in (
            ("websocket.receive", DenyConnection()),
            ("thumbnails", WebsocketCloseException()),
            ("websocket.receive", ResponseLater()),
        ):
            with (
                self.subTest(error),
                self.assertLogs("django.channels.worker", "ERROR") as logs,
            ):
                self.assertIsNone(self.consume(channel, error))
                self.assertIn(
                    f"{type(error).__name__} was raised on {channel}", logs.output[0]
                )
                self.assertIn("<locals>.consumer:", logs.output[0])

    def test_who_waits_for_an_answer_gets_one(self):
        with self.assertLogs("django.channels.worker", "ERROR"):
            reply = self.consume("http.request", DenyConnection())
        self.assertEqual(reply["status"], 500)

    def test_a_run_of_ones_own_sends_what_it_likes(self):
        class Teapot(ChannelSocketException):
            def run(self, message):
                message.reply_channel.send({"text": "short and stout"})

        reply = self.consume("websocket.receive", Teapot())
        self.assertEqual(reply, {"text": "short and stout"})

    def test_a_run_of_ones_own_that_fails_is_logged(self):
        error = ChannelSocketException()
        error.run = mock.Mock(side_effect=RuntimeError("no tea"))
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            self.consume("websocket.connect", error)
        self.assertIn("RuntimeError: no tea", logs.output[0])
