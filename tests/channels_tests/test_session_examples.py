"""The examples of docs/topics/channels/sessions.txt do what the page says."""

from django.channels import route
from django.conf import settings
from django.contrib.auth.models import User
from django.test import TestCase
from django.utils.module_loading import import_string

from .test_topic_examples import ExampleTestCase


class QuizTests(ExampleTestCase, TestCase):
    page, package = "sessions.txt", "quiz"

    def setUp(self):
        super().setUp()
        self.client.force_login(User.objects.create_user("ann"))
        key = self.client.session.session_key
        self.cookie = f"{settings.SESSION_COOKIE_NAME}={key}".encode()

    def test_the_routing_passes_the_checks(self):
        self.assertChecked()

    def test_points_are_counted_for_the_user(self):
        headers = [[b"cookie", self.cookie]]
        self.assertEqual(
            self.connect(path="/quiz/", headers=headers), [{"accept": True}]
        )
        for text, points in (("7", 0), ("42", 1), ("42", 2)):
            replies = self.receive(path="/quiz/", text=text)
            self.assertEqual(replies, [{"text": f"ann: {points}"}])
        self.disconnect(path="/quiz/")
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            self.receive(path="/quiz/", text="42")
        self.assertIn("KeyError: 'points'", logs.output[0])


class DrawingTests(ExampleTestCase, TestCase):
    page, package = "sessions.txt", "quiz"

    def setUp(self):
        super().setUp()
        for channel, name in (("connect", "connect"), ("receive", "draw")):
            consumer = import_string(f"quiz.drawing.{name}")
            self.put_first(route(f"websocket.{channel}", consumer))

    def test_lines_are_counted_in_their_order(self):
        asked, accepted, consumed = self.connect(ordered=False)
        self.assertEqual(asked, {"type": "websocket.ordered"})
        self.assertEqual(accepted, {"accept": True})
        self.assertEqual(consumed, {"type": "websocket.consumed", "order": 0})
        for count in (1, 2):
            replies = self.receive(text="x", ordered=True)
            self.assertEqual(replies, [{"text": f"line {count}"}])
