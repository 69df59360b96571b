"""Which changes of models are sent, to whom, when, and in which order."""

import json
from contextlib import contextmanager
from unittest import mock

from django.channels import Group
from django.channels.backends.memory import MemoryChannelLayer
from django.channels.binding.base import CREATE, DELETE, UPDATE, Binding
from django.channels.binding.websockets import (
    WebsocketBinding,
    WebsocketBindingWithMembers,
)
from django.channels.exceptions import LayerUnavailable
from django.core.exceptions import ImproperlyConfigured
from django.db import models, transaction
from django.db.models import F
from django.test import SimpleTestCase, TestCase, TransactionTestCase
from django.test.utils import isolate_apps
from django.utils import timezone

from .layers import default_layer
from .models import Label, Note, Token


class NoteBinding(WebsocketBinding):
    model = Note
    stream = "notes"
    fields = ["room", "text", "count"]

    @classmethod
    def group_names(cls, instance):
        return [f"room-{name}" for name in instance.room.split()]

    def has_permission(self, user, action, pk):
        return True


class TokenBinding(NoteBinding):
    model = Token
    stream = "tokens"
    fields = ["__all__"]


# Each test registers what it needs.
for binding in NoteBinding, TokenBinding:
    binding.unregister()


class BindingTests:
    """For a test case with a database: a channel in the group of each room."""

    bindings = [NoteBinding]

    def setUp(self):
        super().setUp()
        context = default_layer()
        self.layer = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.members = {}
        for room in "abc":
            self.members[room] = self.layer.new_channel("member?")
            Group(f"room-{room}").add(self.members[room])
        for binding in self.bindings:
            binding.register()
            self.addCleanup(binding.unregister)

    def heard(self, room):
        """Return the frames that a room got since the last call."""
        pairs = self.layer.receive_batch([self.members[room]], 100)
        return [json.loads(content["text"]) for _, content in pairs]

    def actions(self, room):
        """Return [(action, text), …] of those frames."""
        payloads = [frame["payload"] for frame in self.heard(room)]
        return [(each["action"], each["data"].get("text")) for each in payloads]

    @contextmanager
    def committing(self):
        """Run what waits for the commit when the block ends."""
        with self.captureOnCommitCallbacks(execute=True):
            yield


class OutboundTests(BindingTests, TestCase):
    def test_a_change_goes_to_the_groups_of_the_instance(self):
        with self.committing():
            note = Note.objects.create(room="a", text="one", secret="x")
        (frame,) = self.heard("a")
        self.assertEqual(
            frame,
            {
                "stream": "notes",
                "payload": {
                    "action": "create",
                    "pk": note.pk,
                    "data": {"room": "a", "text": "one", "count": 0},
                    "model": "channels_tests.note",
                },
            },
        )
        self.assertEqual(self.heard("b"), [])

    def test_each_kind_of_change_has_its_action(self):
        with self.committing():
            note = Note.objects.create(room="a", text="one")
        with self.committing():
            note.text = "two"
            note.save()
        with self.committing():
            note.delete()
        self.assertEqual(
            self.actions("a"), [(CREATE, "one"), (UPDATE, "two"), (DELETE, "two")]
        )

    def test_a_group_that_is_left_gets_delete_and_one_that_is_entered_create(self):
        note = Note.objects.create(room="a b", text="one")
        with self.committing():
            note.room, note.text = "b c", "two"
            note.save()
        self.assertEqual(self.actions("a"), [(DELETE, "one")])
        self.assertEqual(self.actions("b"), [(UPDATE, "two")])
        self.assertEqual(self.actions("c"), [(CREATE, "two")])

    def test_delete_comes_before_update_and_create(self):
        note = Note.objects.create(room="a b", text="one")
        for room in "bc":
            Group(f"room-{room}").add(self.members["a"])
        with self.committing():
            note.room = "b c"
            note.save()
        actions = [action for action, _ in self.actions("a")]
        self.assertEqual(actions, [DELETE, UPDATE, CREATE])

    def test_those_who_are_left_do_not_see_what_came_after(self):
        note = Note.objects.create(room="a", text="for a")
        with self.committing():
            note.room, note.text = "b", "for b only"
            note.save()
        self.assertNotIn("for b only", str(self.heard("a")))

    def test_the_groups_before_are_those_of_the_database(self):
        """Not of an instance that is older, or was changed and not saved."""
        note = Note.objects.create(room="a")
        old = Note.objects.get()
        with self.committing():
            note.room = "b"
            note.save()
            old.room = "c"
            old.save()
        self.assertEqual([a for a, _ in self.actions("b")], [CREATE, DELETE])
        self.assertEqual([a for a, _ in self.actions("c")], [CREATE])
        with self.committing():
            old.room = "a"
            old.delete()
        self.assertEqual([a for a, _ in self.actions("c")], [DELETE])
        self.assertEqual([a for a, _ in self.actions("a")], [DELETE])

    def test_what_a_queryset_deletes_is_sent(self):
        label = Label.objects.create()
        for text in "one", "two":
            Note.objects.create(room="a", text=text, label=label)
        with self.committing():
            Note.objects.filter(text="one").delete()
        self.assertEqual(self.actions("a"), [(DELETE, "one")])
        with self.committing():
            label.delete()
        self.assertEqual(self.actions("a"), [(DELETE, "two")])

    def test_an_update_of_a_queryset_and_bulk_calls_are_not_sent(self):
        with self.committing():
            notes = Note.objects.bulk_create([Note(room="a", text="one")])
            Note.objects.update(text="two")
            notes[0].text = "three"
            Note.objects.bulk_update(notes, ["text"])
        self.assertEqual(self.heard("a"), [])

    def test_what_has_no_signal_can_be_announced(self):
        with self.committing():
            notes = Note.objects.bulk_create(
                [Note(room="a", text="one"), Note(room="b", text="two")]
            )
            for note in notes:
                NoteBinding.announce(note, CREATE)
        self.assertEqual(self.actions("a"), [(CREATE, "one")])
        self.assertEqual(self.actions("b"), [(CREATE, "two")])
        with self.committing():
            NoteBinding.announce(notes[0])
        self.assertEqual(self.actions("a"), [(UPDATE, "one")])

    def test_what_an_expression_became_is_sent(self):
        note = Note.objects.create(room="a", count=1)
        with self.committing():
            note.count = F("count") + 1
            note.save()
        (frame,) = self.heard("a")
        self.assertEqual(frame["payload"]["data"]["count"], 2)

    def test_fixtures_are_not_sent(self):
        with self.committing():
            Note(room="a", changed=timezone.now()).save_base(raw=True)
        self.assertEqual(self.heard("a"), [])

    def test_an_empty_payload_is_not_sent(self):
        with mock.patch.object(NoteBinding, "serialize", return_value={}):
            with self.committing():
                Note.objects.create(room="a")
        self.assertEqual(self.heard("a"), [])

    def test_a_change_costs_one_query_for_all_bindings(self):
        class OtherBinding(NoteBinding):
            stream = "others"

        self.addCleanup(OtherBinding.unregister)
        with self.assertNumQueries(1):
            note = Note.objects.create(room="a")
        with self.assertNumQueries(2), self.committing():
            note.save()
        streams = sorted(frame["stream"] for frame in self.heard("a"))
        self.assertEqual(streams, ["notes", "others"])

    def test_signal_kwargs_are_there_when_a_payload_is_made(self):
        seen = []

        def serialize(binding, instance, action):
            seen.append(binding.signal_kwargs["created"])
            return {}

        with mock.patch.object(NoteBinding, "serialize", serialize):
            Note.objects.create(room="a").save()
        self.assertEqual(seen, [True, False])


class KeyTests(BindingTests, TestCase):
    bindings = [TokenBinding]

    def test_a_key_that_is_no_number_is_sent_as_text(self):
        with self.assertNumQueries(1), self.committing():
            token = Token.objects.create(room="a")
        with self.committing():
            token.room = "b"
            token.save()
        created, deleted = [frame["payload"] for frame in self.heard("a")]
        self.assertEqual((created["action"], deleted["action"]), (CREATE, DELETE))
        self.assertEqual(created["pk"], str(token.pk))
        self.assertEqual(deleted["data"], {"room": "a"})


class CommitTests(BindingTests, TransactionTestCase):
    available_apps = ["channels_tests"]

    def test_nothing_is_sent_before_the_commit(self):
        with transaction.atomic():
            Note.objects.create(room="a", text="one")
            self.assertEqual(self.heard("a"), [])
        self.assertEqual(self.actions("a"), [(CREATE, "one")])

    def test_what_is_rolled_back_is_not_sent(self):
        with transaction.atomic():
            note = Note.objects.create(room="a", text="one")
            with self.assertRaisesMessage(ValueError, ""), transaction.atomic():
                note.room = "b"
                note.save()
                raise ValueError
            note.refresh_from_db()
            note.text = "two"
            note.save()
        self.assertEqual(self.actions("a"), [(CREATE, "one"), (UPDATE, "two")])
        self.assertEqual(self.heard("b"), [])
        with self.assertRaisesMessage(ValueError, ""), transaction.atomic():
            note.delete()
            raise ValueError
        self.assertEqual(self.heard("a"), [])

    def test_a_change_outside_of_transactions_is_sent_at_once(self):
        Note.objects.create(room="a", text="one")
        self.assertEqual(self.actions("a"), [(CREATE, "one")])

    def test_a_layer_that_is_away_undoes_nothing(self):
        error = mock.Mock(side_effect=LayerUnavailable("The store is away."))
        with mock.patch.object(MemoryChannelLayer, "send_group", error):
            with self.assertLogs("django.db.backends.base", "ERROR") as logs:
                Note.objects.create(room="a")
        self.assertIn("The store is away.", logs.output[0])
        self.assertEqual(Note.objects.count(), 1)


class DataTests(BindingTests, TestCase):
    """What of an instance is sent."""

    def data(self, **attrs):
        """Return the data of a note, as a binding with some attributes sends it."""
        attrs = {"fields": None, **attrs}
        base_class = attrs.pop("base", WebsocketBinding)
        binding = type(
            "DataBinding", (base_class,), {"model": Note, "stream": "s"} | attrs
        )
        self.addCleanup(binding.unregister)
        binding.unregister()
        label = Label.objects.create(name="x")
        note = Note.objects.create(room="a", text="one", due="2020-01-02", label=label)
        note.labels.add(label)
        return binding().serialize_data(Note.objects.get(pk=note.pk)), label

    def test_fields_says_what(self):
        data, label = self.data(fields=["text", "label", "labels"])
        expected = {"text": "one", "label": label.pk, "labels": [label.pk]}
        self.assertEqual(data, expected)

    def test_exclude_says_what_not(self):
        data, _ = self.data(exclude=["secret", "changed", "labels", "label"])
        names = {"room", "owner", "text", "count", "due", "attachment"}
        self.assertEqual(set(data), names)

    def test_all_fields_but_the_key(self):
        for fields in ["__all__"], "__all__":
            data, _ = self.data(fields=fields)
            self.assertNotIn("id", data)
            self.assertIn("secret", data)

    def test_members_are_sent_beside_the_fields(self):
        data, _ = self.data(
            base=WebsocketBindingWithMembers,
            fields=["text", "due"],
            send_members=["shout", "parent.name", "due.isoformat"],
        )
        self.assertEqual(
            data,
            {
                "text": "one",
                "due": "2020-01-02",
                "shout": "ONE",
                "parent__name": "x",
                "due__isoformat": "2020-01-02",
            },
        )


class DeclarationTests(SimpleTestCase):
    def declare(self, base_class=WebsocketBinding, **attrs):
        return type("Declared", (base_class,), {"model": Note, "stream": "s", **attrs})

    def test_a_binding_must_say_which_fields(self):
        message = "Declared must set either fields or exclude"
        for attrs in {}, {"fields": ["text"], "exclude": ["room"]}:
            with self.subTest(attrs=attrs):
                with self.assertRaisesMessage(ImproperlyConfigured, message):
                    self.declare(**attrs)

    def test_fields_must_be_a_list(self):
        message = "Declared.fields must be a list of names, not 'text'."
        with self.assertRaisesMessage(ImproperlyConfigured, message):
            self.declare(fields="text")

    def test_a_binding_to_sockets_must_name_its_stream(self):
        with self.assertRaisesMessage(ImproperlyConfigured, "must set stream"):
            self.declare(fields=["text"], stream=None)

    def test_a_subclass_without_a_model_is_abstract(self):
        self.assertIsNone(type("Abstract", (Binding,), {}).model)
        self.assertNotIn(None, Binding.get_registered_models())

    def test_bound_models_are_known(self):
        self.assertNotIn(Note, Binding.get_registered_models())
        binding = self.declare(fields=["text"])
        self.addCleanup(binding.unregister)
        binding.register()
        self.assertEqual(Binding.get_registered_models().count(Note), 1)

    @isolate_apps("channels_tests")
    def test_a_binding_may_stand_beside_its_model(self):
        class Thing(models.Model):
            pass

        binding = self.declare(model=Thing, fields=["__all__"])
        self.addCleanup(binding.unregister)
        self.assertEqual(binding.model_label, "channels_tests.thing")

    def test_what_is_missing_is_named(self):
        binding = self.declare(fields=["text"])
        self.addCleanup(binding.unregister)
        for call, name in (
            (lambda: binding.group_names(Note()), "group_names"),
            (lambda: binding().has_permission(None, CREATE, None), "has_permission"),
        ):
            with self.assertRaisesMessage(
                NotImplementedError, f"Declared must define {name}()."
            ):
                call()
