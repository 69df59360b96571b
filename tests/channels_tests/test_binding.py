"""Which changes of models are sent, to whom, when, and in which order."""

from unittest import mock

from django.channels import Group
from django.channels.backends.memory import MemoryChannelLayer
from django.channels.binding.base import CREATE, DELETE, UPDATE
from django.channels.exceptions import LayerUnavailable
from django.db import transaction
from django.db.models import F
from django.test import TestCase, TransactionTestCase
from django.utils import timezone

from .bindings import BindingTests, NoteBinding, TokenBinding
from .models import Label, Note, Token


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
