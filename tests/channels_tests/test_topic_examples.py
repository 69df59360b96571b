"""The examples of the topic pages do what the pages say."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from django.channels import channel_layers
from django.channels.checks import check_layers
from django.channels.routing import reverse
from django.test import override_settings
from django.test.utils import captured_stdout
from django.utils.module_loading import import_string

from .generics import ConsumerTestCase
from .layers import layer_settings
from .test_docs import DOCS
from .tutorial import read_steps


class ExampleTestCase(ConsumerTestCase):
    """Has the files of a page, in a package on sys.path, behind the default layer."""

    page = package = None

    def setUp(self):
        super().setUp()
        folder = Path(self.enterContext(TemporaryDirectory()))
        (folder / self.package).mkdir()
        (folder / self.package / "__init__.py").touch()
        for step in read_steps((DOCS / "topics" / "channels" / self.page).read_text()):
            # What has the same caption goes on where the first ended.
            with (folder / step.path).open("a") as file:
                file.write(step.content + "\n\n")
        sys.path.insert(0, str(folder))
        self.addCleanup(self.forget, str(folder))
        settings = layer_settings(f"{self.package}.routing.channel_routing")
        self.enterContext(override_settings(CHANNEL_LAYERS=settings))
        self.addCleanup(channel_layers.close_all)
        self.layer = channel_layers["default"]

    def forget(self, folder):
        sys.path.remove(folder)
        for name in [name for name in sys.modules if name.startswith(self.package)]:
            del sys.modules[name]

    def assertChecked(self):
        self.assertEqual(check_layers(), [])


class RoutingExampleTests(ExampleTestCase):
    page, package = "routing.txt", "gallery"

    def test_the_routing_passes_the_checks(self):
        self.assertChecked()

    def test_sockets_and_jobs_come_to_their_consumers(self):
        path = reverse("album", kwargs={"album": "holidays"})
        self.assertEqual(path, "/live/holidays/")
        self.assertEqual(self.connect(path=path), [{"accept": True}])
        replies = self.receive(path=path, text="x")
        self.assertEqual(replies, [{"text": "holidays: x"}])
        path = reverse("chat", kwargs={"room": "lobby"})
        self.assertEqual(self.connect(path=path), [{"accept": True}])
        self.assertEqual(self.receive(path=path, text="x"), [{"text": "lobby: x"}])
        self.assertEqual(self.disconnect(path=path), [])
        with captured_stdout() as stdout:
            self.consume("thumbnails", photo="cat.jpg")
        self.assertEqual(stdout.getvalue(), "A thumbnail of cat.jpg is made.\n")

    def test_another_path_is_refused_with_one_line(self):
        with self.assertLogs("django.channels", "WARNING") as logs:
            self.assertEqual(self.connect(path="/chat/a b/"), [{"accept": False}])
        self.assertEqual(len(logs.records), 1)


class ConsumerExampleTests(ExampleTestCase):
    page, package = "consumers.txt", "shop"

    def test_the_routing_passes_the_checks(self):
        self.assertChecked()

    def test_a_room_hears_what_is_said_in_it(self):
        path = reverse("room", kwargs={"room": "hats"})
        self.assertEqual(self.connect(path=path), [{"accept": True}])
        self.assertEqual(self.receive(path=path, text="x"), [{"text": "x"}])
        self.disconnect(path=path)
        self.assertEqual(self.receive(path=path, text="x"), [])

    def test_there_is_no_other_room(self):
        with self.assertLogs("django.channels", "WARNING") as logs:
            self.assertEqual(self.connect(path="/rooms/a/"), [{"accept": False}])
        self.assertIn("There is no room a.", logs.output[0])

    def test_an_exception_of_ones_own_acts(self):
        order = {"item": "hat", "order": 2}
        replies = self.receive_json(order, path="/stock/")
        self.assertEqual(replies, [{"text": {"ordered": "hat"}}])
        replies = self.receive_json({**order, "order": 3}, path="/stock/")
        self.assertEqual(replies, [{"text": "Sold out.", "close": True}])

    def test_streams_are_split(self):
        accept, opened = self.connect(path="/shop/")
        self.assertEqual(accept, {"accept": True})
        expected = {"stream": "orders", "payload": {"open": True}}
        self.assertEqual(opened["text"], expected)
        frame = {"stream": "orders", "payload": "hat"}
        (reply,) = self.receive_json(frame, path="/shop/")
        self.assertEqual(reply["text"]["payload"], {"ordered": "hat"})

    def test_any_channel_can_have_a_class(self):
        jobs = import_string("shop.jobs.PhotoJobs")
        self.layer.router.add_route(jobs.as_route())
        replies = self.consume("photos.scale", photo=7)
        self.assertEqual(replies, [{"text": "7 is smaller."}])
        self.assertEqual(self.consume("photos.crop"), [{"text": "Cropped."}])
