"""The example chat, in the windows of a real browser."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .browser import FOREIGN_HOST
from .examples import ExampleBrowserTestCase

# Return how a socket's opening ends, as seen by the page that asks for it.
OPEN_SOCKET = """
const [url, done] = arguments;
const socket = new WebSocket(url);
socket.onopen = () => done("opened");
socket.onclose = () => done("refused");
"""

# Devices to look good on: name, width, height and whether it is dark.
DEVICES = [
    ("phone", 390, 844, False),
    ("phone-dark", 390, 844, True),
    ("small", 320, 568, False),
    ("desktop", 1280, 800, False),
    ("desktop-dark", 1280, 800, True),
]

CONVERSATION = [
    ("Ada", "Is anybody here?"),
    ("Grace", "Yes, in the other window. What is for dinner?"),
    ("Ada", "Soup & bread <b>with butter</b>"),
    ("Grace", "A long answer with whole sentences in it. " * 4),
    ("Ada", "https://example.com/" + "an-address-without-any-space/" * 4),
    ("Grace", "שלום, مرحبا"),
    ("Ada", "Coming!"),
]


class ChatPage:
    """A window in a room of the chat."""

    def __init__(self, window):
        self.window = window

    def wait_for_state(self, state):
        """Wait until the page says how its connection is."""
        self.window.wait_for_texts("#status", [state])

    def wait_for_posts(self, posts):
        """Wait until exactly these posts are shown, in this order."""
        self.window.wait_for_texts("#posts p", posts)

    def say(self, name, text):
        """Type and send a post."""
        self.window.type("[name=name]", name)
        self.window.type("[name=text]", text)
        self.window.find("#say button").click()


# Whether the page has a socket that is open, and that the test did not change.
IS_ANOTHER_SOCKET = """
return socket.readyState === WebSocket.OPEN && !Object.hasOwn(socket, "send");
"""


class BlankPage(BaseHTTPRequestHandler):
    """A page of a site that is not the chat's."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, *args):
        """Say nothing."""


class BrowserTests(ExampleBrowserTestCase):
    def open(self, url):
        window = self.browser.open(url)
        self.addCleanup(window.close)
        return window

    def enter(self, room):
        """Return a ChatPage whose socket is open."""
        page = ChatPage(self.open(f"{self.url}/chat/{room}/"))
        page.wait_for_state("Live")
        return page

    def test_windows(self):
        """Posts cross between windows in a room, and to no other room."""
        one, two, other = self.enter("one"), self.enter("one"), self.enter("other")
        one.say("Ada", "dinner!")
        for page in one, two:
            page.wait_for_posts(["dinner!"])
        two.say("Grace", "coming")
        other.say("Edsger", "quiet here")
        for page in one, two:
            page.wait_for_posts(["dinner!", "coming"])
        other.wait_for_posts(["quiet here"])
        self.assertEqual(one.window.texts("#posts .mine p"), ["dinner!"])
        self.assertEqual(two.window.texts("#posts .mine p"), ["coming"])

    def test_reload(self):
        """A reload shows what was said, once, and knows the name."""
        page = self.enter("reload")
        page.say("Ada", "first")
        page.say("Ada", "second")
        page.wait_for_posts(["first", "second"])
        page.window.driver.refresh()
        page.wait_for_posts(["first", "second"])
        name = page.window.find("[name=name]").get_property("value")
        self.assertEqual(name, "Ada")

    def test_index(self):
        """Who asks for a room gets into it; a bad name is explained."""
        window = self.open(self.url)
        window.type("[name=room]", "no slug")
        window.find("button").click()
        window.wait_for(lambda: window.texts(".errorlist"))
        window.type("[name=room]", "found")
        window.find("button").click()
        ChatPage(window).wait_for_state("Live")
        self.assertEqual(window.driver.title, "found")

    def test_markup(self):
        """Nobody's words become somebody's markup."""
        page = self.enter("markup")
        text = "</script><img src=x onerror=\"document.title='owned'\"><b>bold</b>"
        page.say("<i>Eve</i>", text)
        page.wait_for_posts([text])
        self.assertEqual(page.window.texts("#posts b"), ["<i>Eve</i>"])
        self.assertEqual(page.window.texts("#posts img, #posts i, #posts p b"), [])
        self.assertEqual(page.window.driver.title, "markup")

    def test_foreign_origin(self):
        """A page of another host cannot open a socket; the chat's own can."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), BlankPage)
        self.addCleanup(server.server_close)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        socket_url = f"ws://127.0.0.1:{self.server.port}/chat/one/"
        foreign = f"http://{FOREIGN_HOST}:{server.server_port}/"
        for url, result in (foreign, "refused"), (self.url, "opened"):
            with self.subTest(url=url):
                driver = self.open(url).driver
                self.assertEqual(
                    driver.execute_async_script(OPEN_SOCKET, socket_url), result
                )
        self.process.wait_for_line("Refused a socket to /chat/one/: its Origin")

    def test_restart(self):
        """After a crash of the server, pages connect again and miss nothing."""
        one, two = self.enter("restart"), self.enter("restart")
        one.say("Ada", "before")
        for page in one, two:
            page.wait_for_posts(["before"])
        self.kill()
        for page in one, two:
            page.wait_for_state("Reconnecting")
        self.assertFalse(one.window.find("#say button").is_enabled())
        one.window.screenshot("reconnecting")
        self.start(self.server.port)
        for page in one, two:
            page.wait_for_state("Live")
        two.say("Grace", "after")
        for page in one, two:
            page.wait_for_posts(["before", "after"])

    def test_a_text_that_is_lost_stays_in_its_field(self):
        """It can be sent once more, and goes when it is shown as a post."""
        page = self.enter("lost")
        window = page.window
        window.driver.execute_script("socket.send = () => {}")
        page.say("Ada", "anybody?")
        window.driver.execute_script("socket.close()")
        window.wait_for(lambda: window.driver.execute_script(IS_ANOTHER_SOCKET))
        page.wait_for_posts([])
        field = window.find("[name=text]")
        self.assertEqual(field.get_property("value"), "anybody?")
        window.wait_for(window.find("#say button").is_enabled)
        window.find("#say button").click()
        page.wait_for_posts(["anybody?"])
        window.wait_for(lambda: field.get_property("value") == "")

    def test_devices(self):
        """On every device all fits, and the latest post is in sight."""
        page = self.enter("devices")
        for name, text in CONVERSATION:
            page.say(name, text)
        page.wait_for_posts([text.strip() for _, text in CONVERSATION])
        index = self.open(f"{self.url}/?room=no+slug")
        for name, width, height, dark in DEVICES:
            with self.subTest(device=name):
                for window, what in (page.window, "room"), (index, "index"):
                    window.resize(width, height, dark)
                    window.driver.refresh()
                    if what == "room":
                        page.wait_for_posts([text.strip() for _, text in CONVERSATION])
                    window.screenshot(f"{what}-{name}")
                    self.assertNoSidewaysScrolling(window, width)
                self.assertFits(page.window, height)
                last = page.window.driver.find_elements("css selector", "#posts li")[-1]
                form = page.window.find("#say")
                self.assertLessEqual(
                    last.rect["y"] + last.rect["height"], form.rect["y"]
                )

    def assertNoSidewaysScrolling(self, window, width):
        """Check that nothing is cut off at the side."""
        size = "return document.body.scrollWidth"
        self.assertLessEqual(window.driver.execute_script(size), width)
        for element in window.driver.find_elements("css selector", "input, button"):
            rect = element.rect
            self.assertLessEqual(rect["x"] + rect["width"], width)

    def assertFits(self, window, height):
        """Check that the page scrolls inside itself, not as a whole."""
        size = "return document.body.scrollHeight"
        self.assertLessEqual(window.driver.execute_script(size), height)
        for element in window.driver.find_elements("css selector", "input, button"):
            rect = element.rect
            self.assertLessEqual(rect["y"] + rect["height"], height)
