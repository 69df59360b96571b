"""Changes of bound models within other changes, and within consumers."""

from django.channels import Group, route
from django.channels.binding.base import CREATE, DELETE, UPDATE
from django.channels.exceptions import ConsumeLater
from django.channels.worker import Worker
from django.db import transaction
from django.db.models import signals
from django.test import TestCase, TransactionTestCase

from .bindings import BindingTests, NoteBinding
from .layers import make_layer
from .models import Label, Memo, Note


class LabelsBinding(NoteBinding):
    """One whose groups are those of related objects."""

    fields = ["text", "labels"]

    @classmethod
    def group_names(cls, instance):
        return [f"room-{label.name}" for label in instance.labels.all()]


class MemoBinding(NoteBinding):
    model = Memo
    stream = "memos"


for binding in LabelsBinding, MemoBinding:
    binding.unregister()


class NestedTests(BindingTests, TestCase):
    # Behind the receivers of a test, as when those are imported first.
    bindings = []

    def connect(self, receiver):
        signals.post_save.connect(receiver, sender=Note)
        self.addCleanup(signals.post_save.disconnect, receiver, sender=Note)
        NoteBinding.register()
        self.addCleanup(NoteBinding.unregister)

    def test_a_save_within_an_update_creates_nothing(self):
        def count(instance, **kwargs):
            if instance.count < 1:
                instance.count += 1
                instance.save()

        note = Note.objects.create(room="a", text="one", count=-1)
        self.connect(count)
        with self.committing():
            note.text = "two"
            note.save()
        self.assertEqual(self.actions("a"), [(UPDATE, "two")] * 3)

    def test_an_update_within_a_failed_save_is_one(self):
        def fail(instance, **kwargs):
            if instance.text == "fail":
                raise ValueError

        note = Note.objects.create(room="a", text="one")
        self.connect(fail)
        for text in "fail", "fail", "two":
            with self.committing():
                note.text = text
                try:
                    with transaction.atomic():
                        note.save()
                except ValueError:
                    continue
        self.assertEqual(self.actions("a"), [(UPDATE, "two")])


class RelatedTests(BindingTests, TestCase):
    bindings = [LabelsBinding]

    def make_note(self):
        note = Note.objects.create(text="one")
        note.labels.add(Label.objects.create(name="a"), Label.objects.create(name="b"))
        return note

    def assertDeleted(self, note, labels):
        for room in "ab":
            (frame,) = self.heard(room)
            payload = frame["payload"]
            self.assertEqual((payload["action"], payload["pk"]), (DELETE, note))
            self.assertEqual(payload["data"], {"text": "one", "labels": labels})

    def test_who_knew_of_an_instance_by_its_relations_sees_it_vanish(self):
        note = self.make_note()
        pk, labels = note.pk, [label.pk for label in note.labels.all()]
        with self.committing():
            note.delete()
        self.assertDeleted(pk, labels)

    def test_so_it_is_with_a_queryset(self):
        note = self.make_note()
        labels = [label.pk for label in note.labels.all()]
        with self.committing():
            Note.objects.all().delete()
        self.assertDeleted(note.pk, labels)


class InheritanceTests(BindingTests, TestCase):
    bindings = [NoteBinding, MemoBinding]

    def streams(self, room):
        return [
            (frame["stream"], frame["payload"]["action"]) for frame in self.heard(room)
        ]

    def test_a_child_is_bound_by_itself_and_ends_as_its_parent_too(self):
        with self.committing():
            memo = Memo.objects.create(room="a", text="one")
        with self.committing():
            memo.room = "a b"
            memo.save()
        self.assertEqual(self.streams("a"), [("memos", CREATE), ("memos", UPDATE)])
        self.assertEqual(self.streams("b"), [("memos", CREATE)])
        with self.committing():
            memo.delete()
        ended = [("memos", DELETE), ("notes", DELETE)]
        self.assertEqual(sorted(self.streams("a")), ended)
        self.assertEqual(sorted(self.streams("b")), ended)


class DatabasesTests(BindingTests, TransactionTestCase):
    databases = {"default", "other"}
    available_apps = ["channels_tests"]

    def test_a_change_waits_for_the_commit_of_its_own_database(self):
        with transaction.atomic(using="other"):
            with transaction.atomic():
                note = Note(room="a", text="one")
                note.save(using="other")
            self.assertEqual(self.heard("a"), [])
        self.assertEqual(self.actions("a"), [(CREATE, "one")])

    def test_the_groups_before_are_those_of_the_same_database(self):
        note = Note.objects.create(pk=1, room="a", text="one")
        Note.objects.using("other").create(pk=1, room="b", text="one")
        self.heard("a"), self.heard("b")
        note.text = "two"
        note.save(using="other")
        self.assertEqual(self.actions("a"), [(CREATE, "two")])
        self.assertEqual(self.actions("b"), [(DELETE, "one")])
        with transaction.atomic(using="other"):
            Note.objects.using("other").get().delete()
            NoteBinding.announce(note, using="other")
            self.assertEqual(self.heard("a"), [])
        self.assertEqual(self.actions("a"), [(DELETE, "two"), (UPDATE, "two")])


class DeferredTests(BindingTests, TestCase):
    def test_fields_that_are_not_loaded_are_sent_all_the_same(self):
        Note.objects.create(room="a", text="one", count=3)
        with self.committing():
            note = Note.objects.only("text").get()
            note.text = "two"
            note.save()
        (frame,) = self.heard("a")
        data = {"room": "a", "text": "two", "count": 3}
        self.assertEqual(frame["payload"]["data"], data)
        with self.committing():
            Note.objects.defer("room").get().delete()
        self.assertEqual(self.actions("a"), [(DELETE, "two")])


class ConsumerTests(BindingTests, TransactionTestCase):
    """A change stands once it is committed, whatever becomes of the consumer."""

    available_apps = ["channels_tests"]

    def consume(self, consumer, **options):
        layer = make_layer([route("work", consumer, **options)])
        Worker(layer).consume("work", {})

    def test_what_a_consumer_committed_before_it_failed_is_sent(self):
        def save(message):
            Note.objects.create(room="a", text="one")
            Group("room-b").send({"text": "{}"})
            raise ValueError("after the commit")

        with self.assertLogs("django.channels.worker", "ERROR"):
            self.consume(save)
        self.assertEqual(self.actions("a"), [(CREATE, "one")])
        self.assertEqual(self.heard("b"), [])

    def test_what_a_consumer_rolled_back_is_not_sent(self):
        def save(message):
            Note.objects.create(room="a", text="one")
            raise ConsumeLater

        self.consume(save, atomic=True)
        self.assertEqual(self.heard("a"), [])
