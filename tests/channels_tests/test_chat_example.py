"""The example chat, as clients of its server see it."""

import json

from .chat import EXAMPLE, ChatTestCase, Client, serve_chat
from .processes import manage

# What a page may send that is no post, and the fields that are wrong with it.
BAD_TEXTS = [
    ("", {"name", "text"}),
    ("no JSON", {"name", "text"}),
    ("[" * 100_000, {"name", "text"}),
    ("9" * 10_000, {"name", "text"}),
    ("null", {"name", "text"}),
    ('["name", "text"]', {"name", "text"}),
    ('{"name": 1, "text": {"a": []}}', {"name", "text"}),
    ('{"name": "Ada"}', {"text"}),
    ('{"name": "Ada", "text": " \\n "}', {"text"}),
    ('{"name": "Ada", "text": "a\\u0000b"}', {"text"}),
    (json.dumps({"name": "A" * 31, "text": "a"}), {"name"}),
    (json.dumps({"name": "Ada", "text": "a" * 1001}), {"text"}),
]
HOSTILE_ROOMS = ["", "a.b", "a%20b", "a/b", "..", "%00", "%C3%A9", "a" * 51, "a!b"]


class ChatExampleTests(ChatTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.process, cls.server = serve_chat(cls.directory)
        cls.addClassCleanup(cls.process.kill)

    def enter(self, room):
        return self.join(self.server, room)

    def assertServes(self):
        """Check that no consumer failed, and that a chat is possible."""
        client, _ = self.enter("afterwards")
        client.say("Ada", "still there")
        self.assertEqual(client.heard(), [("Ada", "still there")])
        self.assertNotIn("Traceback", self.process.output)

    def test_a_room(self):
        """Who is in a room sees each post, once, and who is not sees none."""
        ada, history = self.enter("kitchen")
        self.assertEqual(history, [])
        grace, _ = self.enter("kitchen")
        other, _ = self.enter("Kitchen")
        ada.say("Ada", "dinner!")
        self.assertEqual(ada.heard(), [("Ada", "dinner!")])
        grace.say(" Grace ", "coming\n")
        self.assertEqual(ada.heard(), [("Grace", "coming")])
        for text in "dinner!", "coming":
            self.assertEqual(grace.heard()[0][1], text)
        other.say("Edsger", "quiet here")
        self.assertEqual(other.heard(), [("Edsger", "quiet here")])

    def test_history(self):
        """Who joins sees the latest 50 posts of the room, the last one first."""
        client, _ = self.enter("archive")
        for number in range(52):
            client.say("Ada", f"post {number}")
            self.assertEqual(client.heard(), [("Ada", f"post {number}")])
        _, history = self.enter("archive")
        expected = [("Ada", f"post {number}") for number in range(51, 1, -1)]
        self.assertEqual(history, expected)

    def test_posts_are_numbered(self):
        """A post has the same number, alone and in the history."""
        client, _ = self.enter("numbers")
        client.say("Ada", "one")
        (post,) = client.receive()["posts"]
        with self.server.connect("/chat/numbers/") as socket:
            self.assertEqual(Client(socket).receive(), {"posts": [post]})

    def test_bad_texts(self):
        """What is no post is answered to its sender, and stored nowhere."""
        client, _ = self.enter("bad")
        other, _ = self.enter("bad")
        for text, fields in BAD_TEXTS:
            with self.subTest(text=text[:40]):
                client.socket.send(text)
                self.assertEqual(set(client.receive()["errors"]), fields)
        client.socket.send(b"\x00\xff")
        self.assertEqual(set(client.receive()["errors"]), {"name", "text"})
        other.say("Ada", "fine")
        self.assertEqual(other.heard(), [("Ada", "fine")])
        self.assertEqual(self.enter("bad")[1], [("Ada", "fine")])
        self.assertServes()

    def test_strange_characters(self):
        """Any character arrives; half a character becomes a question mark."""
        client, _ = self.enter("strange")
        client.socket.send('{"name": "\\ud83d", "text": "\\ud83d\\ude00 </script>"}')
        self.assertEqual(client.heard(), [("?", "\U0001f600 </script>")])
        self.assertServes()

    def test_hostile_rooms(self):
        """What is no slug of 50 characters has neither page nor socket."""
        from websockets.exceptions import InvalidStatus

        for room in HOSTILE_ROOMS:
            with self.subTest(room=room):
                self.assertEqual(self.server.get(f"/chat/{room}/")[0], 404)
                with self.assertRaisesMessage(InvalidStatus, "HTTP 403"):
                    self.server.connect(f"/chat/{room}/").__enter__()
        self.assertEqual(self.server.get(f"/chat/{'a' * 50}/")[0], 200)
        self.assertEqual(self.enter("a" * 50)[1], [])
        self.assertServes()

    def test_foreign_origin(self):
        """A page of another host gets no socket."""
        from websockets.exceptions import InvalidStatus

        options = {"origin": "http://foreign.test"}
        with self.assertRaisesMessage(InvalidStatus, "HTTP 403"):
            self.server.connect("/chat/kitchen/", **options).__enter__()

    def test_index(self):
        """The first page lists rooms and leads to the one that is asked for."""
        client, _ = self.enter("listed")
        client.say("Ada", "b")
        client.heard()
        status, body = self.server.get("/")
        self.assertEqual(status, 200)
        self.assertIn(b'<a href="/chat/listed/">listed</a>', body)
        self.assertEqual(self.server.get("/?room=listed")[0], 302)
        status, body = self.server.get("/?room=%3Cscript%3E")
        self.assertEqual(status, 200)
        self.assertIn(b"Enter a valid", body)
        self.assertNotIn(b'"<script>', body)

    def test_a_gone_client_leaves_the_room(self):
        """A post to a room that somebody left reaches who is there."""
        gone, _ = self.enter("left")
        client, _ = self.enter("left")
        gone.socket.close()
        self.process.wait_for_line(r"DISCONNECT /chat/left/")
        client.say("Ada", "alone")
        self.assertEqual(client.heard(), [("Ada", "alone")])
        self.assertServes()


class ChatProjectTests(ChatTestCase):
    def test_project_is_complete(self):
        """The checks pass and no migration is missing."""
        for args in ("check",), ("makemigrations", "--check", "--dry-run"):
            with manage(self.directory, *args) as process:
                self.assertEqual(process.wait(), 0, process.output)

    def test_no_assets_from_elsewhere(self):
        """Pages, styles and scripts name no other host."""
        for path in EXAMPLE.rglob("*"):
            if path.suffix in {".html", ".css", ".js"}:
                with self.subTest(path=path.name):
                    self.assertNotRegex(path.read_text(), "https?://|@import|url\\(")
