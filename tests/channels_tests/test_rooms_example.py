"""The example chat with rooms and users, in the browsers of two of them."""

from django.test import tag

from .chat import ChatTestCase
from .examples import EXAMPLES, ExampleBrowserTestCase, ProjectMixin


class RoomsProjectTests(ProjectMixin, ChatTestCase):
    example = EXAMPLES / "rooms"


class RoomsPage:
    """A user's window on the rooms."""

    def __init__(self, window):
        self.window = window

    def wait_until_live(self):
        self.window.wait_for_texts("#status", ["Live"])
        return self

    def _in(self, room, selector):
        return f"section[data-title={room}] {selector}"

    def toggle(self, room):
        """Join or leave a room."""
        self.window.find(self._in(room, ".toggle")).click()

    def say(self, room, text):
        self.window.type(self._in(room, "input"), text)
        self.window.find(self._in(room, "form button")).click()

    def wait_for_log(self, room, *lines):
        self.window.wait_for_texts(self._in(room, "li"), list(lines))


@tag("slow")
class RoomsBrowserTests(ExampleBrowserTestCase):
    example = EXAMPLES / "rooms"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in "ada", "grace":
            cls.make_superuser(name)

    def make_room(self, title):
        window = self.log_in("ada", "/admin/rooms/room/add/")
        window.type("[name=title]", title)
        self.follow(window, "[name=_save]")

    def enter(self, user, browser=None):
        """Return the RoomsPage of a user who logs in."""
        return RoomsPage(self.log_in(user, "/", browser)).wait_until_live()

    def test_users_talk_in_rooms(self):
        self.make_room("Kitchen")
        self.make_room("Garden")
        ada = self.enter("ada")
        grace = self.enter("grace", self.another_browser())
        ada.toggle("Kitchen")
        ada.wait_for_log("Kitchen", "ada joined")
        grace.toggle("Kitchen")
        grace.wait_for_log("Kitchen", "grace joined")
        grace.say("Kitchen", "<b>Dinner!</b>")
        ada.wait_for_log(
            "Kitchen", "ada joined", "grace joined", "grace: <b>Dinner!</b>"
        )
        ada.toggle("Garden")
        ada.wait_for_log("Garden", "ada joined")
        ada.say("Garden", "Alone.")
        ada.wait_for_log("Garden", "ada joined", "ada: Alone.")
        self.assertEqual(grace.window.texts("section[data-title=Garden] li"), [])
        # A logout ends the socket, on which the others hear of that.
        self.follow(grace.window, "#logout button")
        self.assertIn("/accounts/login/", grace.window.driver.current_url)
        ada.wait_for_log(
            "Kitchen",
            "ada joined",
            "grace joined",
            "grace: <b>Dinner!</b>",
            "grace left",
        )
        self.assertQuiet()

    def test_a_page_that_was_cut_off_comes_back_into_its_rooms(self):
        self.make_room("Cellar")
        ada = self.enter("ada")
        ada.toggle("Cellar")
        ada.wait_for_log("Cellar", "ada joined")
        self.kill()
        ada.window.wait_for_texts("#status", ["Reconnecting"])
        ada.say("Cellar", "Still there.")
        ada.window.wait_for_texts(
            "#error", ["Not connected: try again when this page is live."]
        )
        self.start(self.server.port)
        ada.wait_until_live()
        ada.wait_for_log("Cellar", "ada joined", "ada joined")
        # What could not be said is where it was typed.
        ada.window.find("section[data-title=Cellar] form button").click()
        ada.wait_for_log("Cellar", "ada joined", "ada joined", "ada: Still there.")
        field = ada.window.find("section[data-title=Cellar] input")
        ada.window.wait_for(lambda: field.get_property("value") == "")
        self.assertQuiet()
