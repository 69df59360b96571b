import tempfile
from pathlib import Path
from unittest.mock import patch

from django.channels import Message, route
from django.channels.requests import AsgiRequest
from django.channels.worker import Worker
from django.contrib.staticfiles.consumers import StaticFilesConsumer
from django.test import SimpleTestCase, override_settings

from .layers import make_layer


class StaticFilesConsumerTests(SimpleTestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        Path(folder.name, "a b.css").write_text("body { color: red }")
        overridden = override_settings(
            ROOT_URLCONF="channels_tests.urls",
            ALLOWED_HOSTS=["testserver"],
            STATIC_URL="/static/",
            STATICFILES_DIRS=[folder.name],
            STATICFILES_FINDERS=["django.contrib.staticfiles.finders.FileSystemFinder"],
            INSTALLED_APPS=["django.contrib.staticfiles"],
        )
        overridden.enable()
        self.addCleanup(overridden.disable)
        consumer = StaticFilesConsumer()
        self.layer = make_layer([route("http.request", consumer)], capacity=1000)

    def get(self, path):
        """Return the replies to a request."""
        reply_channel = self.layer.new_channel("r!")
        content = {
            "type": "http.request",
            "reply_channel": reply_channel,
            "method": "GET",
            "path": path,
            "headers": [[b"host", b"testserver"]],
        }
        Worker(self.layer).consume("http.request", content)
        return [message for _, message in self.layer.receive_batch(["r!"], 100)]

    def test_a_file_below_the_static_url_is_served(self):
        first, *others = self.get("/static/a b.css")
        self.assertEqual(first["status"], 200)
        self.assertIn([b"Content-Type", b"text/css"], first["headers"])
        content = b"".join(reply["content"] for reply in (first, *others))
        self.assertEqual(content, b"body { color: red }")

    def test_a_missing_file_is_a_404(self):
        self.assertEqual(self.get("/static/missing.css")[0]["status"], 404)

    def test_a_path_that_leads_elsewhere_is_a_400(self):
        for path in "/static/../secret", "/static/a/../../../etc/passwd":
            with self.subTest(path=path):
                with self.assertLogs("django.security", "ERROR") as logs:
                    self.assertEqual(self.get(path)[0]["status"], 400)
                self.assertIn("SuspiciousFileOperation", logs.records[0].name)

    def test_the_body_of_a_request_for_a_file_is_closed(self):
        with patch.object(AsgiRequest, "close", autospec=True) as close:
            self.get("/static/a b.css")
        close.assert_called_once()

    def test_everything_else_is_a_views(self):
        self.assertEqual(self.get("/hello/")[0]["content"], b"hello")

    @override_settings(STATIC_URL="https://static.test/")
    def test_files_of_another_host_are_not_served(self):
        with self.assertLogs("django.request", "WARNING"):
            self.assertEqual(self.get("/static/a b.css")[0]["status"], 404)

    def test_it_is_a_consumer_of_messages(self):
        message = Message(
            {"method": "GET", "path": "/hello/", "reply_channel": "r!a"},
            "http.request",
            self.layer,
        )
        with override_settings(ALLOWED_HOSTS=["unknown"]):
            StaticFilesConsumer()(message)
        self.assertEqual(self.layer.receive(["r!"])[1]["status"], 200)
