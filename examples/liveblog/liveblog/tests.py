import json

from django.contrib.auth.models import User
from django.db import transaction
from django.test.channels import ChannelTestCase, WSClient

from .models import Liveblog, Post


class LiveblogTestCase(ChannelTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.final = Liveblog.objects.create(title="The final", slug="final")
        cls.other = Liveblog.objects.create(title="The weather", slug="weather")

    def open(self, slug):
        """Return a client in the place of a page, and what it is shown first."""
        page = WSClient()
        page.send_and_consume("websocket.connect", path=f"/{slug}/stream/")
        return page, page.receive()


class StreamTests(LiveblogTestCase):
    def test_a_page_is_shown_the_latest_posts_first(self):
        for text in "Kick-off.", "Goal!":
            post = self.final.posts.create(text=text)
        self.other.posts.create(text="Rain.")
        _, shown = self.open("final")
        self.assertEqual([p["text"] for p in shown["posts"]], ["Goal!", "Kick-off."])
        self.assertEqual(shown["posts"][0], post.as_dict())

    def test_a_change_comes_to_the_pages_of_its_liveblog(self):
        (page, _), (other, _) = self.open("final"), self.open("weather")
        with self.captureOnCommitCallbacks(execute=True):
            post = self.final.posts.create(text="Goal!")
        self.assertEqual(page.receive(), {"saved": post.as_dict()})
        with self.captureOnCommitCallbacks(execute=True):
            post.text = "No goal."
            post.save()
        self.assertEqual(page.receive()["saved"]["text"], "No goal.")
        number = post.pk
        with self.captureOnCommitCallbacks(execute=True):
            post.delete()
        self.assertEqual(page.receive(), {"deleted": number})
        self.assertIsNone(other.receive())

    def test_what_is_rolled_back_comes_to_nobody(self):
        with self.captureOnCommitCallbacks(execute=True):
            with transaction.atomic():
                self.final.posts.create(text="Goal!")
                data = {"saved": Post.objects.get().as_dict()}
                sent = {"text": json.dumps(data)}
                self.assertQueuedOnCommit(group=self.final.group_name, content=sent)
                transaction.set_rollback(True)
        self.assertNoMessageSent(group=self.final.group_name)

    def test_there_is_no_stream_of_nothing(self):
        page = WSClient()
        with self.assertLogs("django.channels", "WARNING"):
            page.send_and_consume(
                "websocket.connect", path="/nothing/stream/", check_accept=False
            )
        self.assertEqual(page.receive(), {"accept": False})


class PageTests(LiveblogTestCase):
    def test_all_liveblogs_are_listed(self):
        response = self.client.get("/")
        self.assertContains(response, '<a href="/final/">The final</a>', html=True)
        self.assertEqual(self.client.get("/final/").status_code, 200)
        self.assertEqual(self.client.get("/nothing/").status_code, 404)

    def test_only_authors_write(self):
        response = self.client.post("/final/write/", {"text": "Goal!"})
        self.assertRedirects(response, "/accounts/login/?next=/final/write/")
        self.assertIs(Post.objects.exists(), False)
        self.client.force_login(User.objects.create_superuser("ada"))
        with self.captureOnCommitCallbacks(execute=True):
            response = self.client.post("/final/write/", {"text": "Goal!"})
        self.assertRedirects(response, "/final/write/")
        self.assertMessageSent(group=self.final.group_name, count=1)
        response = self.client.post("/final/write/", {"text": ""})
        self.assertContains(response, "This field is required.")
