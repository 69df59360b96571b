"""Projects of examples/, their own tests, and windows of a browser on them."""

from .browser import Browser, WithBrowser
from .chat import REPOSITORY, ChatTestCase, serve_chat
from .processes import PATIENCE_SECONDS, manage
from .utils import keep_port

EXAMPLES = REPOSITORY / "examples"
# Whether a page has replaced the one that was marked.
IS_NEW_PAGE = "return !window.isOld && document.readyState === 'complete'"
PASSWORD = "correct horse"


class ProjectMixin:
    """What holds for the project of each example. Mix it into a ChatTestCase."""

    def test_the_project_is_complete(self):
        """Checks pass and no migration is missing."""
        for args in ("check",), ("makemigrations", "--check", "--dry-run"):
            with self.subTest(args=args), manage(self.directory, *args) as process:
                self.assertEqual(process.wait(), 0, process.output)

    def test_the_tests_of_the_project_pass(self):
        with manage(self.directory, "test", "--noinput") as process:
            self.assertEqual(process.wait(), 0, process.output)
            found = process.wait_for_line(r"^Found (\d+) test")
        self.assertGreater(int(found[1]), 0)

    def test_no_assets_from_elsewhere(self):
        """Pages, styles and scripts name no other host."""
        for path in self.example.rglob("*"):
            if path.suffix in {".html", ".css", ".js"}:
                with self.subTest(path=path.name):
                    self.assertNotRegex(path.read_text(), "https?://|@import|url\\(")


class ExampleBrowserTestCase(WithBrowser, ChatTestCase):
    """A class with a browser; each test has a server of the example."""

    def setUp(self):
        self.start()

    def start(self, port=0):
        """Start the server, which ends with the test."""
        self.process, self.server = serve_chat(self.directory, port)
        self.addCleanup(self.process.kill)
        self.url = f"http://127.0.0.1:{self.server.port}"

    def kill(self):
        """Kill the server; only another one of the test gets its port."""
        self.process.kill()
        keep_port(self, self.server.port)

    def open(self, path, browser=None):
        """Return a window on a page, which the end of the test closes."""
        window = (browser or self.browser).open(self.url + path)
        self.addCleanup(window.close)
        return window

    def another_browser(self):
        """Return a browser of somebody else, with cookies of its own."""
        browser = Browser()
        self.addCleanup(browser.close)
        return browser

    @classmethod
    def make_superuser(cls, username):
        """Store a user who may do everything."""
        args = ["createsuperuser", "--noinput", "--username", username]
        env = {"DJANGO_SUPERUSER_PASSWORD": PASSWORD}
        process = manage(cls.directory, *args, "--email", "a@example.com", env=env)
        with process:
            if process.wait(PATIENCE_SECONDS) != 0:
                raise AssertionError(process.output)

    def log_in(self, username, path, browser=None):
        """Return a window that came to a page through the login."""
        window = self.open(f"/accounts/login/?next={path}", browser)
        window.type("[name=username]", username)
        window.type("[name=password]", PASSWORD)
        self.follow(window, "form button")
        self.assertEqual(window.driver.current_url, self.url + path)
        return window

    def follow(self, window, selector):
        """Click what leads to another page, and wait for that."""
        window.driver.execute_script("window.isOld = true")
        window.find(selector).click()
        window.wait_for(lambda: window.driver.execute_script(IS_NEW_PAGE))

    def assertQuiet(self):
        """Check that no consumer or view has failed."""
        self.assertNotIn("Traceback", self.process.output)
