"""The example with a bound model, in two browsers."""

from django.test import tag

from .chat import ChatTestCase
from .examples import EXAMPLES, ExampleBrowserTestCase, ProjectMixin

# Return [[title, whether it is done], …] as the page shows them.
TASKS = """
return [...document.querySelectorAll("#tasks li")].map((item) => {
  const [box, field] = item.querySelectorAll("input");
  return [field.value, box.checked];
});
"""
# What selenium types for that key.
BACKSPACE = "\ue003"
DELETE_ALL = """
document.querySelectorAll("#tasks button").forEach((button) => button.click());
"""


class BoardProjectTests(ProjectMixin, ChatTestCase):
    example = EXAMPLES / "board"


@tag("slow")
class BoardBrowserTests(ExampleBrowserTestCase):
    example = EXAMPLES / "board"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in "ada", "grace":
            cls.make_superuser(name)

    def show(self, window):
        """Wait until a page has its socket."""
        window.wait_for_texts("#status", ["Live"])
        return window

    def assertShow(self, windows, *tasks):
        for window in windows:
            expected = [list(task) for task in tasks]
            window.wait_for(lambda: window.driver.execute_script(TASKS) == expected)

    def clear(self, window):
        """Delete what another test has left."""
        window.driver.execute_script(DELETE_ALL)
        self.assertShow([window])

    def add(self, window, title):
        window.type("#add [name=title]", title)
        window.find("#add button").click()

    def rename(self, window, title):
        """Give the first task a title, as somebody who types and goes on."""
        from selenium.webdriver.common.keys import Keys

        field = window.find("#tasks [name=title]")
        # Not type(), which makes the field empty as an edit of its own.
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(title)
        window.find("#add [name=title]").click()

    def test_what_is_edited_in_one_browser_appears_in_the_other(self):
        one = self.show(self.log_in("ada", "/"))
        two = self.show(self.log_in("grace", "/", self.another_browser()))
        both = one, two
        self.clear(one)
        self.add(one, "Water the plants")
        self.assertShow(both, ("Water the plants", False))
        self.add(two, "<b>Bake</b> bread")
        self.assertShow(both, ("Water the plants", False), ("<b>Bake</b> bread", False))
        two.find("#tasks [name=done]").click()
        self.assertShow(both, ("Water the plants", True), ("<b>Bake</b> bread", False))
        self.rename(one, "Water the tomatoes")
        self.assertShow(
            both, ("Water the tomatoes", True), ("<b>Bake</b> bread", False)
        )
        two.find("#tasks button").click()
        self.assertShow(both, ("<b>Bake</b> bread", False))
        # What is refused is shown as it was, and on this page only.
        self.rename(one, BACKSPACE)
        one.wait_for(lambda: one.texts("#error") != [""])
        self.assertShow(both, ("<b>Bake</b> bread", False))
        self.assertEqual(two.texts("#error"), [""])
        self.assertQuiet()

    def test_a_page_that_was_cut_off_shows_what_is_there(self):
        one = self.show(self.log_in("ada", "/"))
        self.add(one, "Sleep")
        self.wait_until_there(one, "Sleep")
        self.kill()
        one.wait_for_texts("#status", ["Reconnecting"])
        box = one.find("[name=done]")
        was_done = box.is_selected()
        box.click()
        one.wait_for_texts("#error", ["Not connected: that was not saved."])
        self.assertIs(box.is_selected(), was_done)
        self.add(one, "Wake up")
        self.start(self.server.port)
        self.show(one)
        self.wait_until_there(one, "Sleep")
        # What could not be added is where it was typed.
        one.find("#add button").click()
        self.wait_until_there(one, "Wake up")
        field = one.find("#add [name=title]")
        one.wait_for(lambda: field.get_property("value") == "")
        anonymous = self.show(self.open("/", self.another_browser()))
        self.wait_until_there(anonymous, "Sleep")
        self.assertEqual(anonymous.texts("#add"), [])
        self.assertIs(anonymous.find("[name=done]").is_enabled(), False)
        self.assertQuiet()

    def wait_until_there(self, window, title):
        window.wait_for(
            lambda: title in [shown for shown, _ in window.driver.execute_script(TASKS)]
        )
