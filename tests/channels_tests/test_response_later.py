from unittest.mock import patch

from django.channels import Channel, channel_layers
from django.channels.exceptions import ResponseLater
from django.channels.handler import AsgiHandler, ViewConsumer
from django.channels.worker import Worker
from django.contrib.contenttypes.models import ContentType
from django.core import signals
from django.db import connection
from django.http import HttpResponse
from django.test import TransactionTestCase, override_settings

from . import views
from .test_handler import HandlerTestCase


class LaterTests(HandlerTestCase):
    """Views that somebody else answers for, and what views send."""

    def consume(self, path):
        Worker(self.layer).consume("http.request", self.message(path).content)

    def later(self):
        return self.layer.receive(["later"])[1]

    def setUp(self):
        super().setUp()
        channel_layers.set("default", self.layer)
        self.addCleanup(channel_layers.set, "default", None)

    def test_a_view_can_leave_the_answer_to_somebody_else(self):
        self.consume("/later/")
        self.assertEqual(self.replies(), [])
        name = self.later()["reply_channel"]
        for reply in AsgiHandler.encode_response(HttpResponse("at last")):
            Channel(name).send(reply)
        self.assertEqual(self.replies()[0]["content"], b"at last")

    def test_an_asynchronous_view_can_as_well(self):
        self.consume("/async-later/")
        self.assertEqual(self.replies(), [])

    def test_a_request_that_is_answered_later_is_finished_all_the_same(self):
        finished = []

        def receiver(**kwargs):
            finished.append(kwargs["sender"])

        signals.request_finished.connect(receiver)
        self.addCleanup(signals.request_finished.disconnect, receiver)
        self.consume("/later/")
        self.assertEqual(finished, [AsgiHandler])

    def test_middleware_sees_that_the_answer_comes_later(self):
        seen = []

        def middleware(get_response):
            def handle(request):
                response = get_response(request)
                seen.append(response.status_code)
                return response

            return handle

        views.middleware = middleware
        self.addCleanup(delattr, views, "middleware")
        with override_settings(MIDDLEWARE=["channels_tests.views.middleware"]):
            ViewConsumer()(self.message("/later/"))
        self.assertEqual(seen, [202])

    def test_what_a_view_sent_that_raised_is_dropped(self):
        with self.assertLogs("django.request", "WARNING"):
            self.consume("/sends-and-fails/")
        self.assertEqual(self.replies()[0]["status"], 404)
        self.assertIsNone(self.later())


class LaterTransactionTests(TransactionTestCase):
    available_apps = ["django.contrib.contenttypes"]

    def test_what_a_view_wrote_that_is_answered_later_is_committed(self):
        def view(request):
            ContentType.objects.create(app_label="later", model="later")
            raise ResponseLater

        with patch.dict(connection.settings_dict, ATOMIC_REQUESTS=True):
            response = AsgiHandler().make_view_atomic(view)(None)
        self.assertEqual(response.status_code, 202)
        self.assertIs(ContentType.objects.filter(app_label="later").exists(), True)
