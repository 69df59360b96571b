from django.contrib.auth.models import User
from django.test.channels import ChannelTestCase, WSClient

from .models import Room


class RoomsTestCase(ChannelTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.kitchen = Room.objects.create(title="Kitchen")
        cls.office = Room.objects.create(title="Office", staff_only=True)
        cls.ada = User.objects.create_user("ada", is_staff=True)
        cls.grace = User.objects.create_user("grace")

    def open(self, user):
        """Return a client in the place of a user's page."""
        page = WSClient(ordered=True)
        page.force_login(user)
        page.send_and_consume("websocket.connect", path="/rooms/stream/")
        page.shown = page.receive()["rooms"]
        return page

    def ask(self, page, command, room, **content):
        """Send a command, and have it obeyed."""
        frame = {"command": command, "room": room, **content}
        self.send(page, frame)

    def send(self, page, frame):
        page.send_and_consume("websocket.receive", text=frame, path="/rooms/stream/")

    def leave(self, page):
        """End the socket of a page."""
        page.send_and_consume("websocket.disconnect", path="/rooms/stream/")

    def assertHears(self, page, *expected):
        """Check that a page hears this, and nothing else."""
        heard = iter(page.receive, None)
        self.assertEqual([tuple(data.values())[1:] for data in heard], list(expected))

    def assertRefused(self, page, text):
        self.assertEqual(page.receive(), {"error": text})
        self.assertIsNone(page.receive())


class RoomTests(RoomsTestCase):
    def enter(self, *users):
        """Return pages that are in the kitchen, and have heard of that."""
        pages = [self.open(user) for user in users]
        for page in pages:
            self.ask(page, "join", self.kitchen.pk)
        for page in pages:
            while page.receive():
                continue
        return pages

    def test_who_is_in_a_room_hears_what_is_said_in_it(self):
        ada, grace = self.enter(self.ada, self.grace)
        other = self.open(self.grace)
        self.ask(ada, "say", self.kitchen.pk, text=" Dinner! ")
        self.ask(grace, "say", self.kitchen.pk, text="Coming.")
        for page in ada, grace:
            self.assertHears(page, ("ada", "Dinner!"), ("grace", "Coming."))
        self.assertHears(other)

    def test_who_joins_and_leaves_is_told(self):
        (ada,) = self.enter(self.ada)
        grace = self.open(self.grace)
        self.ask(grace, "join", self.kitchen.pk)
        self.ask(grace, "join", self.kitchen.pk)
        for page in ada, grace:
            self.assertHears(page, ("grace", "joined"))
        self.ask(grace, "leave", self.kitchen.pk)
        for page in ada, grace:
            self.assertHears(page, ("grace", "left"))
        self.ask(ada, "say", self.kitchen.pk, text="Alone.")
        self.assertHears(grace)

    def test_who_goes_leaves_all_rooms(self):
        ada, grace = self.enter(self.ada, self.grace)
        self.leave(grace)
        self.assertHears(ada, ("grace", "left"))
        self.assertHears(grace)

    def test_a_page_is_in_several_rooms(self):
        one, two = self.enter(self.ada, self.ada)
        self.ask(one, "join", self.office.pk)
        self.assertHears(one, ("ada", "joined"))
        self.ask(one, "say", self.office.pk, text="Work.")
        self.assertEqual(
            one.receive(), {"room": self.office.pk, "user": "ada", "text": "Work."}
        )
        self.assertHears(two)


class PermissionTests(RoomsTestCase):
    def test_who_is_not_logged_in_gets_neither_page_nor_socket(self):
        self.assertRedirects(self.client.get("/"), "/accounts/login/?next=/")
        page = WSClient(ordered=True)
        with self.assertLogs("django.channels", "WARNING"):
            page.send_and_consume(
                "websocket.connect", path="/rooms/stream/", check_accept=False
            )
        self.assertEqual(page.receive(), {"accept": False})

    def test_users_see_the_rooms_that_they_may_enter(self):
        self.client.force_login(self.grace)
        self.assertContains(self.client.get("/"), "You are <b>grace</b>")
        titles = [room["title"] for room in self.open(self.grace).shown]
        self.assertEqual(titles, ["Kitchen"])
        titles = [room["title"] for room in self.open(self.ada).shown]
        self.assertEqual(titles, ["Kitchen", "Office"])

    def test_rooms_of_others_are_as_if_they_were_not_there(self):
        page = self.open(self.grace)
        for room in self.office.pk, 10**30, "1", None, [1], 0:
            for command in "join", "say":
                with self.subTest(room=room, command=command):
                    self.ask(page, command, room, text="hello")
                    self.assertRefused(page, "There is no such room.")
        self.assertNoMessageSent(group=self.office.group)

    def test_nothing_is_said_from_outside(self):
        page = self.open(self.ada)
        for command in "say", "leave", "dance":
            self.ask(page, command, self.kitchen.pk, text="hello")
            self.assertRefused(page, "You are not in this room.")
        self.assertNoMessageSent(group=self.kitchen.group)

    def test_what_is_no_command_is_refused(self):
        page = self.open(self.ada)
        for frame in [], '"join"', 7, "null":
            self.send(page, frame)
            self.assertRefused(page, "That is no command.")
        self.ask(page, "join", self.kitchen.pk)
        self.assertHears(page, ("ada", "joined"))
        self.ask(page, "dance", self.kitchen.pk)
        self.assertRefused(page, "That is no command.")
        for text in "", " ", None, ["a"], "x" * 1001:
            self.ask(page, "say", self.kitchen.pk, text=text)
            self.assertRefused(page, "Say something, in 1000 characters or less.")

    def test_a_name_cannot_be_forged(self):
        page = self.open(self.grace)
        self.ask(page, "join", self.kitchen.pk)
        forged = {"user": "ada", "event": "left", "reply_channel": "x!y", "order": 0}
        self.ask(page, "say", self.kitchen.pk, text="hello", **forged)
        self.assertHears(page, ("grace", "joined"), ("grace", "hello"))

    def test_a_logout_ends_the_socket(self):
        page = self.open(self.grace)
        with self.captureOnCommitCallbacks(execute=True):
            page.logout()
        self.assertIn("close", page.receive())
