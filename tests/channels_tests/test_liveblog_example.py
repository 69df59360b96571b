"""The example live blog, in the windows of a real browser."""

from django.test import tag

from .chat import ChatTestCase
from .examples import EXAMPLES, ExampleBrowserTestCase, ProjectMixin


class LiveblogProjectTests(ProjectMixin, ChatTestCase):
    example = EXAMPLES / "liveblog"


@tag("slow")
class LiveblogBrowserTests(ExampleBrowserTestCase):
    example = EXAMPLES / "liveblog"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.make_superuser("ada")

    def read(self, slug, posts=()):
        """Return a window that shows a liveblog, with these posts."""
        window = self.open(f"/{slug}/")
        window.wait_for_texts("#status", ["Live"])
        self.wait_for_posts(window, posts)
        return window

    def wait_for_posts(self, window, posts):
        window.wait_for_texts("#posts span", list(posts))

    def begin(self, title, slug):
        """Make a liveblog; return a window in which its posts are written."""
        window = self.log_in("ada", "/admin/liveblog/liveblog/add/")
        window.type("[name=title]", title)
        window.type("[name=slug]", slug)
        self.follow(window, "[name=_save]")
        window.driver.get(f"{self.url}/{slug}/write/")
        return window

    def write(self, window, text):
        window.type("[name=text]", text)
        self.follow(window, "form button")

    def test_what_an_author_writes_appears_in_every_window(self):
        author = self.begin("The final", "final")
        one, two = self.read("final"), self.read("final")
        self.write(author, "Kick-off.")
        self.write(author, "<b>Goal!</b>")
        for window in one, two, self.read("final", ["<b>Goal!</b>", "Kick-off."]):
            self.wait_for_posts(window, ["<b>Goal!</b>", "Kick-off."])
        self.assertQuiet()

    def test_what_the_admin_changes_or_deletes_changes_or_vanishes(self):
        author = self.begin("The weather", "weather")
        reader = self.read("weather")
        self.write(author, "Rain.")
        self.write(author, "More rain.")
        self.wait_for_posts(reader, ["More rain.", "Rain."])
        author.driver.get(f"{self.url}/admin/liveblog/post/")
        self.follow(author, "#result_list tbody a")
        author.type("[name=text]", "Sun!")
        self.follow(author, "[name=_save]")
        self.wait_for_posts(reader, ["Sun!", "Rain."])
        self.follow(author, "#result_list tbody a")
        self.follow(author, ".deletelink")
        self.follow(author, "#content [type=submit]")
        self.wait_for_posts(reader, ["Rain."])
        self.assertQuiet()

    def test_a_page_that_was_cut_off_misses_nothing(self):
        author = self.begin("The moon", "moon")
        reader = self.read("moon")
        self.write(author, "Ten.")
        self.wait_for_posts(reader, ["Ten."])
        self.kill()
        reader.wait_for_texts("#status", ["Reconnecting"])
        self.start(self.server.port)
        self.write(author, "Nine.")
        self.wait_for_posts(reader, ["Nine.", "Ten."])
        reader.wait_for_texts("#status", ["Live"])
        self.assertQuiet()
