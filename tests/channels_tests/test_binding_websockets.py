"""What clients may change through a stream, and what they may not."""

import json
from unittest import mock

from asgiref.sync import iscoroutinefunction

from django.channels import Channel, route_class
from django.channels.binding.websockets import WebsocketBinding
from django.channels.generic.websockets import WebsocketDemultiplexer
from django.channels.worker import Worker
from django.conf import settings
from django.contrib.auth.models import User
from django.test import TestCase

from .bindings import BindingTests, NoteBinding
from .models import Label, Note
from .utils import patch_for

LOGGER = "django.channels.binding"


class OwnedBinding(NoteBinding):
    """Notes that belong to somebody, who alone may change them."""

    stream = "owned"
    fields = ["text", "count", "due", "label", "attachment", "changed", "id"]
    channel_session_user = False

    def has_permission(self, user, action, pk):
        return action == "create" or Note.objects.filter(pk=pk, owner="ada").exists()


OwnedBinding.unregister()


class Demultiplexer(WebsocketDemultiplexer):
    consumers = {"notes": NoteBinding.consumer, "owned": OwnedBinding.consumer}
    groups = ["room-a"]


class InboundTests(BindingTests, TestCase):
    bindings = [OwnedBinding]

    def setUp(self):
        super().setUp()
        patch_for(self, NoteBinding.consumer, "channel_session_user", False)
        self.layer.routing = [route_class(Demultiplexer)]
        self.worker = Worker(self.layer)
        self.reply_channel = self.layer.new_channel("reply?")
        self.note = Note.objects.create(room="a", owner="ada", text="one", secret="s")
        self.other = Note.objects.create(room="a", owner="bob", text="his")

    def consume(self, kind, **content):
        message = {"reply_channel": self.reply_channel, "path": "/p/", **content}
        self.worker.consume(
            f"websocket.{kind}", {"type": f"websocket.{kind}", **message}
        )

    def ask(self, action, pk=None, data=None, stream="owned", **more):
        payload = {"action": action, "pk": pk, "data": data, **more}
        frame = {"stream": stream, "payload": payload}
        with self.captureOnCommitCallbacks(execute=True):
            self.consume("receive", text=json.dumps(frame))

    def assertRefused(self, reason, *args, **kwargs):
        before = list(Note.objects.order_by("pk").values())
        with self.assertLogs(LOGGER, "WARNING") as logs:
            self.ask(*args, **kwargs)
        self.assertEqual(len(logs.output), 1)
        self.assertIn(
            "Refused a change of channels_tests.note on '/p/'", logs.output[0]
        )
        self.assertIn(reason, logs.output[0])
        self.assertEqual(list(Note.objects.order_by("pk").values()), before)

    def test_a_client_creates_updates_and_deletes(self):
        self.ask("create", data={"text": "two", "count": 2}, model="auth.user")
        note = Note.objects.get(text="two")
        self.assertEqual((note.count, note.room), (2, ""))
        label = Label.objects.create(name="x")
        self.ask("update", self.note.pk, {"due": "2020-01-02", "label": label.pk})
        self.note.refresh_from_db()
        self.assertEqual(self.note.due.isoformat(), "2020-01-02")
        self.assertEqual((self.note.label, self.note.text), (label, "one"))
        self.ask("delete", self.note.pk)
        self.assertFalse(Note.objects.filter(pk=self.note.pk).exists())

    def test_a_change_goes_to_the_groups(self):
        self.ask("update", self.note.pk, {"text": "two"})
        self.assertEqual(self.actions("a"), [("update", "two")])

    def test_a_socket_is_in_the_groups_of_the_demultiplexer(self):
        self.consume("connect")
        self.assertEqual(self.replies(), [{"accept": True}])
        self.ask("update", self.note.pk, {"text": "two"})
        (reply,) = self.replies()
        self.assertEqual(json.loads(reply["text"])["payload"]["data"]["text"], "two")
        self.consume("disconnect", code=1000)
        self.ask("update", self.note.pk, {"text": "three"})
        self.assertEqual(self.replies(), [])

    def replies(self):
        """Return what the socket got since the last call."""
        pairs = self.layer.receive_batch([self.reply_channel], 100)
        return [content for _, content in pairs]

    def test_a_socket_that_begins_or_ends_changes_nothing(self):
        with mock.patch.object(OwnedBinding, "run_action") as run_action:
            self.consume("connect")
            self.consume("disconnect", code=1000)
        run_action.assert_not_called()

    def test_what_belongs_to_others_is_refused(self):
        for action in "update", "delete":
            with self.subTest(action=action):
                self.assertRefused("may not", action, self.other.pk, {"text": "x"})

    def test_a_key_has_one_meaning_for_the_check_and_the_change(self):
        """Whatever the client writes for it, has_permission() sees the real one."""
        seen = []

        def has_permission(binding, user, action, pk):
            seen.append(pk)
            return False

        with mock.patch.object(OwnedBinding, "has_permission", has_permission):
            for pk in self.note.pk, str(self.note.pk), float(self.note.pk):
                self.assertRefused("may not", "update", pk, {"text": "x"})
            self.assertRefused("may not", "create", self.note.pk, {"text": "x"})
        self.assertEqual(repr(seen), repr([self.note.pk] * 3 + [None]))

    def test_a_key_that_is_none_is_refused(self):
        for pk in None, "x", [1], {"pk": 1}, [], "", 1e999, "9" * 5000:
            with self.subTest(pk=str(pk)[:9]):
                self.assertRefused("", "update", pk, {"text": "x"})
        self.assertRefused("may not", "update", 10**30, {"text": "x"})

    def test_a_key_of_nothing_is_refused(self):
        with mock.patch.object(OwnedBinding, "has_permission", return_value=True):
            for action in "update", "delete":
                self.assertRefused("does not exist", action, 10**6, {"text": "x"})

    def test_fields_that_are_not_listed_are_not_set(self):
        forged = {"owner": "eve", "secret": "x", "room": "b", "pk": 99, "nothing": 1}
        self.ask("update", self.note.pk, {"text": "two", **forged})
        self.note.refresh_from_db()
        expected = ("two", "ada", "s", "a")
        note = self.note
        self.assertEqual((note.text, note.owner, note.secret, note.room), expected)
        self.ask("create", data={"text": "new", **forged})
        note = Note.objects.get(text="new")
        self.assertEqual((note.owner, note.secret, note.room), ("", "", ""))

    def test_keys_files_and_fields_that_are_not_editable_are_not_set(self):
        """Not even if they are listed."""
        forged = {
            "id": self.other.pk,
            "attachment": "../settings.py",
            "changed": "1970-01-01T00:00:00Z",
        }
        self.ask("update", self.note.pk, forged)
        self.note.refresh_from_db()
        self.assertEqual(self.note.attachment.name, "")
        self.assertGreater(self.note.changed.year, 1970)
        self.other.refresh_from_db()
        self.assertEqual((Note.objects.count(), self.other.text), (2, "his"))

    def test_values_that_are_not_valid_are_refused(self):
        for data, reason in (
            ({"text": "x" * 21}, "at most 20 characters"),
            ({"count": "many"}, "must be an integer"),
            ({"count": [1]}, "must be an integer"),
            ({"count": 1e999}, "count: "),
            ({"count": 10**30}, "less than or equal to"),
            ({"due": "today"}, "invalid date format"),
            ({"due": {"year": 1}}, ""),
            ({"label": 99}, "is not a valid choice"),
            ({"label": [1]}, ""),
            ({"text": None}, "cannot be null"),
        ):
            with self.subTest(data=data):
                self.assertRefused(reason, "update", self.note.pk, data)

    def test_a_payload_that_makes_no_sense_is_refused(self):
        reason = "The action must be create, update or delete, not "
        self.assertRefused(f"{reason}'drop'.", "drop", self.note.pk)
        self.assertRefused(reason, "x" * 1000, self.note.pk)
        self.assertRefused(f"{reason}[", ["update"], self.note.pk)
        self.assertRefused("data of a payload", "update", self.note.pk, ["text"])
        for payload in None, [], "text", 1:
            frame = {"stream": "owned", "payload": payload}
            with self.assertLogs(LOGGER, "WARNING") as logs:
                self.consume("receive", text=json.dumps(frame))
            self.assertIn("A payload must be an object.", logs.output[0])

    def test_nothing_is_deleted_by_a_permission_to_create(self):
        self.assertRefused("may not", "delete", self.other.pk)

    def test_every_binding_has_a_consumer_of_its_own(self):
        self.assertIs(NoteBinding.consumer, NoteBinding.consumer)
        self.assertIsNot(NoteBinding.consumer, OwnedBinding.consumer)
        self.assertFalse(iscoroutinefunction(NoteBinding.consumer))

    def test_a_binding_may_do_more_than_to_set_fields(self):
        class OwningBinding(OwnedBinding):
            def create(self, data):
                self.save(Note(owner=str(self.user), room="b"), data)

        self.addCleanup(OwningBinding.unregister)
        message = mock.Mock(user="ada")
        message.channel = Channel("websocket.receive", channel_layer=self.layer)
        message.get.return_value = "/p/"
        content = {"action": "create", "data": {"text": "mine", "owner": "eve"}}
        OwningBinding.trigger_inbound(message, content=content)
        note = Note.objects.get(text="mine")
        self.assertEqual((note.owner, note.room), ("ada", "b"))

    def test_a_message_without_a_demultiplexer_has_its_payload_as_text(self):
        self.layer.routing = [route_class(OwnedBinding.consumer)]
        self.worker = Worker(self.layer)
        self.consume(
            "receive",
            text=json.dumps({"action": "delete", "pk": self.note.pk}),
        )
        self.assertFalse(Note.objects.filter(pk=self.note.pk).exists())

    def test_the_user_of_a_message_is_asked_for(self):
        class UserBinding(WebsocketBinding):
            model = Note
            stream = "users"
            fields = ["text"]

            def has_permission(self, user, action, pk):
                users.append(user)
                return False

        self.addCleanup(UserBinding.unregister)
        users = []
        message = mock.Mock(user="ada")
        message.channel = Channel("websocket.receive", channel_layer=self.layer)
        for expected in "ada", "AnonymousUser":
            with self.assertLogs(LOGGER, "WARNING"):
                UserBinding.trigger_inbound(message, content={"action": "create"})
            self.assertEqual(str(users.pop()), expected)
            message = mock.Mock(spec=["channel", "get"], channel=message.channel)


class UserDemultiplexer(WebsocketDemultiplexer):
    http_user = True
    consumers = {"notes": NoteBinding.consumer}


class LoginTests(BindingTests, TestCase):
    """Who is asked about is who is logged in, on every message of a socket."""

    def setUp(self):
        super().setUp()
        patch_for(self, NoteBinding.consumer, "channel_session_user", True)
        self.layer.routing = [route_class(UserDemultiplexer)]
        self.user = User.objects.create_user("ada")
        self.client.force_login(self.user)

    def ask(self, **headers):
        """Connect and ask for a note; return the users that were asked about."""
        users = []

        def has_permission(binding, user, action, pk):
            users.append((user.get_username(), user.is_authenticated))
            return True

        worker = Worker(self.layer)
        message = {"reply_channel": self.layer.new_channel("reply?"), "path": "/p/"}
        pairs = [[name.encode(), value.encode()] for name, value in headers.items()]
        frame = {"stream": "notes", "payload": {"action": "create", "data": {}}}
        frame["payload"]["data"] = {"room": "a"}
        with mock.patch.object(NoteBinding, "has_permission", has_permission):
            worker.consume("websocket.connect", {**message, "headers": pairs})
            worker.consume("websocket.receive", {**message, "text": json.dumps(frame)})
        return users

    def test_a_login_of_the_browser_is_known_to_the_binding(self):
        key = self.client.cookies[settings.SESSION_COOKIE_NAME].value
        users = self.ask(cookie=f"{settings.SESSION_COOKIE_NAME}={key}")
        self.assertEqual(users, [("ada", True)])

    def test_nobody_is_known_without_a_login(self):
        self.assertEqual(self.ask(), [("", False)])
