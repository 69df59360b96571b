"""The example of background work: pages, a socket each, and a program apart."""

import json
import shutil
import signal
import tempfile
from http.client import HTTPConnection
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from unittest import skipUnless

from django.test import SimpleTestCase
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from .browser import WithBrowser
from .chat import REPOSITORY, serve_chat
from .ipc import require_lmdb
from .processes import PATIENCE_SECONDS, manage
from .utils import keep_port

EXAMPLE = REPOSITORY / "examples" / "thumbnails"
WIDTHS = [80, 160, 320]


@skipUnless(
    find_spec("daphne") and find_spec("websockets") and find_spec("PIL"),
    "Daphne, websockets or Pillow is not installed.",
)
class ThumbnailsTestCase(SimpleTestCase):
    """Each class has a copy of the example, and its server."""

    @classmethod
    def setUpClass(cls):
        require_lmdb()
        super().setUpClass()
        temporary = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, temporary)
        cls.directory = temporary / "thumbnails"
        ignored = shutil.ignore_patterns("*.sqlite3*", "__pycache__", "media", "layer")
        shutil.copytree(EXAMPLE, cls.directory, ignore=ignored)
        with manage(cls.directory, "migrate") as process:
            if process.wait() != 0:
                raise AssertionError(process.output)
        cls.process, cls.server = serve_chat(cls.directory)
        cls.addClassCleanup(cls.process.kill)

    def run_program(self):
        process = manage(self.directory, "makethumbnails")
        self.addCleanup(process.kill)
        process.wait_for_line("Waiting for photos")
        return process

    def draw(self, name="photo.png", size=(1000, 500)):
        """Return a picture as a file."""
        from PIL import Image

        file = BytesIO()
        file.name = name
        Image.new("RGB", size, "green").save(file, "PNG")
        file.seek(0)
        return file


class ThumbnailsExampleTests(ThumbnailsTestCase):
    def upload(self, file):
        """Post a file as the page's form does; return (status, path of the photo)."""
        connection = HTTPConnection("127.0.0.1", self.server.port, PATIENCE_SECONDS)
        self.addCleanup(connection.close)
        token = "a" * 32
        fields = {"image": file, "csrfmiddlewaretoken": token}
        headers = {"Content-Type": MULTIPART_CONTENT, "Cookie": f"csrftoken={token}"}
        connection.request("POST", "/", encode_multipart(BOUNDARY, fields), headers)
        response = connection.getresponse()
        return response.status, response.headers["Location"]

    def receive(self, socket, count=len(WIDTHS)):
        return [json.loads(socket.recv(PATIENCE_SECONDS)) for _ in range(count)]

    def assertShown(self, progress):
        """Check that these are the thumbnails of one photo, one by one."""
        from PIL import Image

        self.assertEqual([each["width"] for each in progress], WIDTHS)
        self.assertEqual([each["done"] for each in progress], [1, 2, 3])
        for each in progress:
            status, content = self.server.get(each["url"])
            self.assertEqual(status, 200)
            with Image.open(BytesIO(content)) as image:
                self.assertEqual(image.size, (each["width"], each["width"] // 2))

    def test_a_page_sees_thumbnails_as_they_are_made(self):
        program = self.run_program()
        status, path = self.upload(self.draw())
        self.assertEqual(status, 302)
        with self.server.connect(path) as socket:
            first = self.receive(socket)
            self.assertShown(first)
            socket.send("again")
            self.assertEqual(self.receive(socket), first)
        program.send_signal(signal.SIGTERM)
        self.assertEqual(program.wait(), 0)
        self.assertIn("Stopped.", program.output)
        self.assertNotIn("Traceback", self.process.output)

    def test_a_page_that_waits_is_answered_by_who_comes_later(self):
        path = self.upload(self.draw())[1]
        with self.server.connect(path) as socket:
            program = self.run_program()
            self.assertShown(self.receive(socket))
        program.interrupt()
        self.assertEqual(program.wait(), 0)
        self.assertNotIn("Traceback", program.output)

    def test_what_is_no_photo_is_refused(self):
        file = BytesIO(b"no photo")
        file.name = "photo.png"
        self.assertEqual(self.upload(file), (200, None))

    def test_a_photo_that_is_gone_is_logged_and_the_next_one_made(self):
        program = self.run_program()
        path = self.upload(self.draw())[1]
        with self.server.connect("/photos/999999/"):
            program.wait_for_line("No thumbnails for photo 999999.")
        with self.server.connect(path) as socket:
            self.assertShown(self.receive(socket))


class ThumbnailsBrowserTests(WithBrowser, ThumbnailsTestCase):
    def test_an_upload_shows_its_thumbnails(self):
        picture = self.directory / "picture.png"
        picture.write_bytes(self.draw().read())
        self.run_program()
        window = self.browser.open(f"http://127.0.0.1:{self.server.port}/")
        window.find("[name=image]").send_keys(str(picture))
        window.find("button").click()
        window.wait_for_texts("#status", ["3 of 3"])
        script = """
            return [...document.images].map((image) => image.naturalWidth);
        """
        window.wait_for(lambda: window.driver.execute_script(script) == WIDTHS)

    def test_a_page_that_was_cut_off_says_so_and_goes_on(self):
        picture = self.directory / "picture.png"
        picture.write_bytes(self.draw().read())
        window = self.browser.open(f"http://127.0.0.1:{self.server.port}/")
        window.find("[name=image]").send_keys(str(picture))
        window.find("button").click()
        window.wait_for_texts("#status", ["Waiting"])
        self.process.kill()
        keep_port(self, self.server.port)
        window.wait_for_texts("#status", ["Reconnecting"])
        cls = type(self)
        cls.process, cls.server = serve_chat(self.directory, self.server.port)
        cls.addClassCleanup(cls.process.kill)
        window.wait_for_texts("#status", ["Waiting"])
        self.run_program()
        window.wait_for_texts("#status", ["3 of 3"])
