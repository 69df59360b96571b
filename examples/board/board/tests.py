from django.contrib.auth.models import User
from django.test.channels import ChannelTestCase, WSClient

from .models import Task


class BoardTests(ChannelTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = User.objects.create_user("ada")
        cls.task = Task.objects.create(title="Water the plants", notes="secret")

    def open(self, user=None):
        """Return a client in the place of a page, and the tasks it is shown."""
        page = WSClient()
        if user is not None:
            page.force_login(user)
        page.send_and_consume("websocket.connect", path="/stream/")
        shown = page.receive()
        self.assertEqual(shown["stream"], "board")
        return page, shown["payload"]["tasks"]

    def ask(self, page, **payload):
        """Send what a page sends, and have what follows from it sent."""
        frame = {"stream": "tasks", "payload": payload}
        with self.captureOnCommitCallbacks(execute=True):
            page.send_and_consume("websocket.receive", text=frame, path="/stream/")

    def shown(self, action, task):
        """Return what pages get for a change."""
        data = {"title": task.title, "done": task.done}
        payload = {"action": action, "pk": task.pk, "model": "board.task", "data": data}
        return {"stream": "tasks", "payload": payload}

    def test_a_page_is_shown_the_tasks_without_their_notes(self):
        _, tasks = self.open()
        self.assertEqual(tasks, [self.shown("create", self.task)["payload"]])
        self.assertNotIn("notes", tasks[0]["data"])

    def test_what_one_page_changes_appears_on_the_other(self):
        (one, _), (two, _) = self.open(self.user), self.open()
        self.ask(one, action="create", data={"title": "Bake bread"})
        new = Task.objects.get(title="Bake bread")
        self.ask(one, action="update", pk=new.pk, data={"done": True})
        self.ask(one, action="delete", pk=new.pk)
        for page in one, two:
            self.assertEqual(page.receive(), self.shown("create", new))
            new.done = True
            self.assertEqual(page.receive(), self.shown("update", new))
            self.assertEqual(page.receive(), self.shown("delete", new))
            self.assertIsNone(page.receive())
            new.done = False
        self.assertEqual(list(Task.objects.all()), [self.task])

    def test_what_the_admin_changes_appears(self):
        page, _ = self.open()
        self.client.force_login(User.objects.create_superuser("grace"))
        with self.captureOnCommitCallbacks(execute=True):
            self.client.post(
                f"/admin/board/task/{self.task.pk}/change/",
                {"title": "Water the tomatoes", "done": "on"},
            )
        self.task.refresh_from_db()
        self.assertIs(self.task.done, True)
        self.assertEqual(page.receive(), self.shown("update", self.task))

    def assertRefused(self, page, **payload):
        with self.assertLogs("django.channels.binding", "WARNING"):
            self.ask(page, **payload)
        self.assertEqual(page.receive()["stream"], "errors")
        self.assertIsNone(page.receive())

    def test_who_is_not_logged_in_changes_nothing(self):
        page, _ = self.open()
        for action in "create", "update", "delete":
            data = {"title": "Forget the plants"}
            self.assertRefused(page, action=action, pk=self.task.pk, data=data)
        self.assertEqual(Task.objects.get().title, "Water the plants")

    def test_what_is_not_valid_or_not_bound_is_not_stored(self):
        page, _ = self.open(self.user)
        for title in "", "x" * 101:
            data = {"title": title}
            self.assertRefused(page, action="update", pk=self.task.pk, data=data)
        self.ask(page, action="update", pk=self.task.pk, data={"notes": "mine"})
        self.task.refresh_from_db()
        self.assertEqual(self.task.title, "Water the plants")
        self.assertEqual(self.task.notes, "secret")
